"""webdataset: a folder of tar files for each split, one sample an episode, `dataset.json` and an index beside them.

`train-000000.tar` holds samples like 000012.image.npy, 000012.action.npy, ...: every array as plain npy, the episode's
number as key. Equal episodes give equal bytes. With the index (tar_index.py) the folder is a data set like any other.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from ..files import seal
from ..info import DatasetInfo
from ..splits import SPLITS
from ..tar_scan import index_tars
from .part import Format, ReadBack

INFO = "dataset.json"


class _TarWriter:
    """A folder of tars in the making; each holds as many episodes as a shard would."""

    def __init__(self, folder: Path, info: DatasetInfo) -> None:
        import webdataset  # two seconds: it imports torch

        folder.mkdir()
        self.folder, self.info, self.open = folder, info, webdataset.TarWriter
        self.split = {int(e): name for name in SPLITS[:-1] for e in info.splits.select(name, np.arange(info.episodes))}
        self.writers: dict[str, webdataset.TarWriter] = {}
        self.counts = dict.fromkeys(SPLITS, 0)

    def append(self, index: int, arrays: dict[str, np.ndarray]) -> None:
        """Add an episode to its split's newest tar: its small arrays side by side, so that one read fetches them."""
        split = self.split[index]
        count = self.counts[split]
        if count % self.info.episodes_per_shard == 0:
            self._close(split)
            path = self.folder / f"{split}-{count // self.info.episodes_per_shard:06d}.tar"
            self.writers[split] = self.open(str(path), encoder=False, mtime=0)
        for big in (False, True):
            sample = {f"{name}.npy": _npy(x) for name, x in arrays.items() if self.info.is_chunked(name) == big}
            self.writers[split].write({"__key__": f"{index:06d}", **sample})
        self.counts[split] = count + 1

    def close(self) -> None:
        """Close the tars and, if all episodes are in them, say what they are and where everything lies."""
        for split in list(self.writers):
            self._close(split)
        if sum(self.counts.values()) == self.info.episodes:
            (self.folder / INFO).write_text(seal(self.info.to_json()))
            index_tars(self.folder, self.info)

    def _close(self, split: str) -> None:
        if split in self.writers:
            self.writers.pop(split).close()


def read_tars(folder: Path, info: DatasetInfo) -> Iterator[ReadBack]:
    """Yield every episode of every tar, as webdataset gives it."""
    from webdataset.tariterators import group_by_keys, tar_file_expander

    for path in sorted(folder.glob("*.tar")):
        with path.open("rb") as stream:  # WebDataset itself leaves its files open
            for sample in group_by_keys(tar_file_expander([{"url": str(path), "stream": stream}])):
                members = {name: x for name, x in sample.items() if name[0] != "_"}
                arrays = {name.removesuffix(".npy"): np.load(io.BytesIO(x)) for name, x in members.items()}
                yield ReadBack(int(sample["__key__"]), arrays)


def _npy(values: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, values, allow_pickle=False)
    return buffer.getvalue()


TARS = Format(_TarWriter, read_tars)
