"""Writing a data set: `dataset.json`, and shards of whole episodes that appear complete or not at all.

A shard is a plain zarr v3 group. All its episodes lie on one flat time axis, each starting at a whole chunk. It is
written in `tmp/`, flushed, listed in a manifest, and renamed to `shards/<first>-<stop>`: no locks, and two collectors
on one folder can only lose time. Nothing in it depends on the clock or on who wrote it.
"""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Iterable
from pathlib import Path

import google_crc32c
import numpy as np
import zarr
from zarr.codecs import ZstdCodec

from .chunk_writer import LEVEL, ChunkedWriter
from .episode import COMMON, Episode
from .files import flush, flush_all, remove, scratch, seal
from .info import DatasetInfo, ShardRange
from .manifest import Manifest, record_files
from .shard import SHARDS

RESERVED = ("length", "offset")  # arrays of the shard itself


def shards_folder(root: Path) -> Path:
    """Where committed shards are."""
    return root / SHARDS


def scratch_folder(root: Path) -> Path:
    """Where things are written before they get their name."""
    return root / "tmp"


def write_info(root: Path, info: DatasetInfo, replace: bool) -> bool:
    """Write `dataset.json` in one piece; False if there is one already and not `replace`."""
    draft = scratch(scratch_folder(root), "dataset.json")
    try:
        draft.write_text(seal(info.to_json()))
        flush(draft)
        if replace:
            os.replace(draft, root / "dataset.json")
        else:
            os.link(draft, root / "dataset.json")  # unlike a rename, it fails where the name is taken
    except FileExistsError:
        return False
    finally:
        remove(draft)
    flush(root)
    return True


def write_shard(root: Path, info: DatasetInfo, what: ShardRange, episodes: Iterable[Episode]) -> bool:
    """Write the shard of `episodes`, which are taken one at a time: memory holds one.

    Returns:
        True, or False where another collector was faster; its shard has the same bytes.

    Raises:
        ValueError: if an episode does not fit the data set's `arrays`.
        OSError: if the disk is full, or the like; nothing is left behind.
    """
    final = shards_folder(root) / what.name
    draft = scratch(scratch_folder(root), what.name)
    try:
        build_shard(draft, info, what, episodes)
        return _commit(draft, final)
    finally:
        remove(draft)


def build_shard(draft: Path, info: DatasetInfo, what: ShardRange, episodes: Iterable[Episode]) -> Manifest:
    """Make the folder `draft` and write the shard of `episodes` into it; return its manifest.

    Raises:
        ValueError: if an episode does not fit the data set's `arrays`.
        OSError: if the disk is full, or the like.
    """
    draft.mkdir(parents=True)
    writer = _ShardWriter(draft, info)
    try:
        for index, episode in zip(range(what.first, what.stop), episodes, strict=True):
            writer.append(index, episode)
        return writer.finish(what)
    finally:
        writer.close()


def _commit(draft: Path, final: Path) -> bool:
    final.parent.mkdir(exist_ok=True)
    try:
        os.rename(draft, final)
    except OSError as error:
        if error.errno in (errno.ENOTEMPTY, errno.EEXIST):
            return False
        raise
    flush(final.parent)
    return True


class _ShardWriter:
    """A shard in the making: big arrays go to disk chunk by chunk, small ones wait in memory."""

    def __init__(self, folder: Path, info: DatasetInfo) -> None:
        self.folder, self.info = folder, info
        self.lengths: list[int] = []
        self.small: dict[str, list[np.ndarray]] = {}
        self.big: dict[str, ChunkedWriter] = {}
        for name, spec in info.stored.items():
            if name in RESERVED:
                raise ValueError(f"an environment cannot have an array called {name!r}: the shards have their own")
            if info.is_chunked(name):
                self.big[name] = ChunkedWriter(folder / name, spec, info.chunk)
            else:
                self.small[name] = []

    def append(self, index: int, episode: Episode) -> None:
        """Add one episode."""
        arrays = _arrays_of(index, episode, self.info)
        self.lengths.append(len(episode))
        padding = int(self.info.padded(np.array(len(episode)))) - len(episode)
        for name, value in arrays.items():
            if name in self.big:
                self.big[name].append(value)
            elif self.info.stored[name].per_step:
                self.small[name].append(np.concatenate([value, np.zeros((padding, *value.shape[1:]), value.dtype)]))
            else:
                self.small[name].append(value[None])

    def finish(self, what: ShardRange) -> Manifest:
        """Write the rest, the manifest last, and make all of it survive a power cut. Return the manifest."""
        group = zarr.create_group(self.folder)
        digests = {name: writer.finish(group) for name, writer in self.big.items()}
        padded = self.info.padded(np.array(self.lengths, np.int64))
        small = {name: np.concatenate(parts) for name, parts in self.small.items()}
        small["length"] = np.array(self.lengths, np.int32)
        small["offset"] = np.cumsum(padded) - padded
        for name, values in small.items():
            _write_whole(group, name, values)
            digests[name] = google_crc32c.value(values.tobytes())
        files = record_files(self.folder)
        flush_all(self.folder)
        manifest = Manifest(what, self.info.fingerprint, self.lengths, digests, files)
        manifest.write(self.folder)
        flush(self.folder)
        return manifest

    def close(self) -> None:
        """Let go of the files, whatever happened. On a full disk closing one fails too: the others are closed still."""
        with contextlib.ExitStack() as files:
            for writer in self.big.values():
                files.callback(writer.close)


def _write_whole(group: zarr.Group, name: str, values: np.ndarray) -> None:
    """Write a small array as one compressed chunk."""
    array = group.create_array(
        name,
        shape=values.shape,
        dtype=values.dtype,
        chunks=values.shape,
        compressors=ZstdCodec(level=LEVEL, checksum=True),
        fill_value=0,
        config={"write_empty_chunks": True},  # or zeros would be no file, and no file reads as zeros
    )
    array[...] = values


def _arrays_of(index: int, episode: Episode, info: DatasetInfo) -> dict[str, np.ndarray]:
    """Return an episode's arrays by name, checked against what the data set says of them."""
    observation, named = info.observation.name, episode.named(info.observation.name)
    strange = set(episode.extras) ^ (set(info.stored) - {observation, "action", *COMMON})
    if strange:
        raise ValueError(f"episode {index} and its environment's `extras` disagree about {', '.join(sorted(strange))}")
    found = {}
    for name, spec in info.stored.items():
        value = named[name]
        if not isinstance(value, np.ndarray):
            value = np.array(value, spec.dtype)
        shape = (len(episode), *spec.shape) if spec.per_step else spec.shape
        if value.dtype != np.dtype(spec.dtype) or value.shape != shape:
            raise ValueError(
                f"array {name!r} of episode {index} is {value.dtype} {value.shape}; "
                f"its environment says {spec.dtype} {shape}"
            )
        found[name] = value
    return found
