"""Other ways to read the same frames into batches: zarr's own reader, an npz an episode, webdataset's tars.

They read frames alone, where our loader makes whole batches, with actions, rewards and flags. Each may use threads.

Axes: B batch, T time, H height, W width, C channels.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
import zarr

from longdream.datasets.reader import EpisodeDataset
from longdream.datasets.samplers import Row, Sampler, row_length

Fill = Callable[[Any, np.ndarray], None]  # puts the frames of a row (T H W C) into an array


class Stored(NamedTuple):
    """Where zarr finds an episode."""

    image: zarr.Array  # of its shard
    offset: int


def zarr_fill(data: Path) -> Fill:
    """Return what reads rows with zarr, from the shards as they are."""
    episodes: dict[int, Stored] = {}
    for folder in sorted((data / "shards").iterdir()):
        group = zarr.open_group(folder, mode="r")
        first, image = int(folder.name.split("-")[0]), group["image"]
        for place, offset in enumerate(group["offset"][:].tolist()):
            episodes[first + place] = Stored(image, offset)

    def fill(row: Row, out: np.ndarray) -> None:
        begin = 0
        for episode, start, stop in row:
            image, offset = episodes[episode]
            out[begin : begin + stop - start] = image[offset + start : offset + stop]
            begin += stop - start

    return fill


def write_npz(dataset: EpisodeDataset, folder: Path) -> None:
    """Write a compressed npz for each episode, as Memory Maze's offline data are."""
    folder.mkdir()
    names = [name for name, spec in dataset.info.arrays.items() if spec.per_step]
    for episode in dataset.indices.tolist():
        arrays: dict[str, Any] = {name: dataset.read(name, episode) for name in names}
        np.savez_compressed(folder / f"{episode}.npz", **arrays)


def npz_fill(folder: Path) -> Fill:
    """Return what reads rows from npz files, of which each episode's frames are one piece."""

    def fill(row: Row, out: np.ndarray) -> None:
        begin = 0
        for episode, start, stop in row:
            with np.load(folder / f"{episode}.npz") as arrays:
                out[begin : begin + stop - start] = arrays["image"][start:stop]
            begin += stop - start

    return fill


@contextmanager
def rows_read(sampler: Sampler, frame: Sequence[int], fill: Fill, threads: int) -> Iterator[Iterator[torch.Tensor]]:
    """Open an endless iterator over the frames (B T H W C) of a sampler's batches, its rows shared by threads."""
    with ThreadPoolExecutor(threads) as pool:

        def batches() -> Iterator[torch.Tensor]:
            for step in count():
                rows = sampler.batch(step)
                out = torch.empty((len(rows), row_length(rows[0]), *frame), dtype=torch.uint8)
                list(pool.map(fill, rows, out.numpy()))
                yield out

        yield batches()


def episodes_of(tars: Path) -> Iterator[np.ndarray]:
    """Yield the frames of all training episodes (T H W C) again and again, by webdataset's own pipeline."""
    import webdataset

    names = sorted(str(path) for path in tars.glob("train-*.tar"))
    pipeline = webdataset.WebDataset(names, shardshuffle=False, empty_check=False).to_tuple("image.npy").repeat()
    for (packed,) in pipeline:
        yield np.load(io.BytesIO(packed))


@contextmanager
def webdataset_whole(tars: Path, rows: int) -> Iterator[Iterator[torch.Tensor]]:
    """Open an endless iterator over batches of whole trajectories, one after another as they lie in the tars."""
    episodes = episodes_of(tars)
    yield (torch.from_numpy(np.stack([next(episodes) for _ in range(rows)])) for _ in count())


@contextmanager
def webdataset_streams(tars: Path, rows: int, window: int, threads: int) -> Iterator[Iterator[torch.Tensor]]:
    """Open an endless iterator over streams of windows: a sequential reader for each row."""

    def stream() -> Iterator[np.ndarray]:
        kept = np.empty((0,))
        for image in episodes_of(tars):
            kept = np.concatenate([kept, image]) if len(kept) else image
            while len(kept) >= window:
                yield kept[:window]
                kept = kept[window:]

    def fill(row: Iterator[np.ndarray], out: np.ndarray) -> None:
        out[...] = next(row)

    readers = [stream() for _ in range(rows)]
    with ThreadPoolExecutor(threads) as pool:

        def batches() -> Iterator[torch.Tensor]:
            shape = next(readers[0]).shape
            while True:
                out = torch.empty((rows, *shape), dtype=torch.uint8)
                list(pool.map(fill, readers, out.numpy()))
                yield out

        yield batches()
