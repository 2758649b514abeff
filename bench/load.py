"""Loading: batches of whole trajectories (8 x 1001 frames of 64x64) and of streams (32 x 48), by us and by others.

One data set is collected, exported, and read in turns by all, the page cache warm; a figure is that of the fastest of
several rounds, by the clock on the wall. Each reads with 1, 2 and 4 threads, and counts by its best. Then, in a process
of its own for each figure, what our loader adds to the memory under several budgets (`--cache-gb` of training):

    python bench/load.py
    python bench/load.py --quick                  # a few episodes, one round: does it run?
    python bench/load.py --folder big --episodes 300      # keeps the data set and its exports there
"""

from __future__ import annotations

import argparse
import math
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from pathlib import Path
from typing import NamedTuple
from unittest.mock import patch

import numpy as np

from longdream.bench.load_rivals import (
    npz_fill,
    rows_read,
    webdataset_streams,
    webdataset_whole,
    write_npz,
    zarr_fill,
)
from longdream.bench.measure import at_least, at_most, in_fresh_process, peak_memory, settle, table
from longdream.collectors.cli import main as collect
from longdream.datasets.budget import batch_bytes
from longdream.datasets.convert.cli import main as convert
from longdream.datasets.loader import Loader
from longdream.datasets.reader import EpisodeDataset
from longdream.datasets.samplers import Sampler, Streams, WholeTrajectories, Windows

THREADS = (1, 2, 4)
BUDGETS = (0.1, 0.25, 0.5, 1.0)  # GB
OURS, TARS, ZARR, NPZ, WEBDATASET = "longdream", "longdream on tars", "zarr", "npz an episode", "webdataset"


class Place(NamedTuple):
    """The same episodes in all formats."""

    data: Path
    npz: Path
    tars: Path


class Reader(NamedTuple):
    """One way to get batches."""

    name: str
    threads: int
    open: Callable[[], AbstractContextManager[Iterator[object]]]
    batches: int  # in each round


class Shape(NamedTuple):
    """A kind of batch."""

    name: str
    rows: int
    window: int  # steps; 0: whole trajectories
    batches: int  # in each round; slow readers have fewer

    def sampler(self, dataset: EpisodeDataset) -> Sampler:
        """Return what names the rows."""
        episodes = dataset.split("train")
        lengths = np.array([dataset.length(episode) for episode in episodes])
        if self.window:
            return Streams(episodes, lengths, self.rows, seed=0, window=self.window)
        return WholeTrajectories(episodes, lengths, self.rows, seed=0)


SHAPES = (Shape("whole trajectories, 8 x 1001", 8, 0, 8), Shape("streams, 32 x 48", 32, 48, 48))


def prepare(folder: Path, episodes: int) -> Place:
    """Collect the episodes and export them, as far as that is not done yet."""
    place = Place(folder / "data", folder / "npz", folder / "tars")
    collect(["--env", "four_rooms", "--n", str(episodes), "--workers", "2", "--out", str(place.data)])
    if not place.npz.exists():
        write_npz(EpisodeDataset(place.data), place.npz)
    if not place.tars.exists():
        with patch.object(sys, "argv", ["longdream convert", str(place.data), str(place.tars), "--to", "webdataset"]):
            convert()
    return place


@contextmanager
def ours(data: Path, shape: Shape, threads: int) -> Iterator[Iterator[object]]:
    """Open our loader, with the memory that training gives it by default."""
    dataset = EpisodeDataset(data)
    with Loader(dataset, shape.sampler(dataset), threads=threads) as loader:
        yield loader


def readers(place: Place, shape: Shape) -> list[Reader]:
    """Return all ways to get batches of a shape."""
    dataset = EpisodeDataset(place.data)
    by_rows = partial(rows_read, shape.sampler(dataset), dataset.info.arrays["image"].shape)
    by_zarr, by_npz = zarr_fill(place.data), npz_fill(place.npz)
    found = []
    for threads in THREADS:
        found += [
            Reader(OURS, threads, partial(ours, place.data, shape, threads), shape.batches),
            Reader(TARS, threads, partial(ours, place.tars, shape, threads), shape.batches),
            Reader(ZARR, threads, partial(by_rows, by_zarr, threads), shape.batches // 2),
            Reader(NPZ, threads, partial(by_rows, by_npz, threads), max(1, shape.batches // 16)),
        ]
        if shape.window:
            streams = partial(webdataset_streams, place.tars, shape.rows, shape.window, threads)
            found.append(Reader(WEBDATASET, threads, streams, shape.batches))
    if not shape.window:
        found.append(Reader(WEBDATASET, 1, partial(webdataset_whole, place.tars, shape.rows), shape.batches))
    return found


def seconds_a_batch(reader: Reader) -> float:
    """Return the seconds of a batch, by the clock on the wall; the first one after opening does not count."""
    with reader.open() as batches:
        next(batches)
        start = time.perf_counter()
        for _ in range(reader.batches):
            next(batches)
        return (time.perf_counter() - start) / reader.batches


def print_shape(place: Place, shape: Shape, rounds: int) -> None:
    """Print the milliseconds of a batch of one shape by every reader, and how many times longer than us each takes."""
    best: dict[str, dict[int, float]] = {}
    for turn in range(rounds + 1):  # one round goes uncounted
        for reader in readers(place, shape):
            taken, row = seconds_a_batch(reader), best.setdefault(reader.name, {})
            row[reader.threads] = min(row.get(reader.threads, math.inf) if turn else math.inf, taken)
    fastest = {name: min(row.values()) for name, row in best.items()}
    ratios = {name: seconds / fastest[OURS] for name, seconds in fastest.items()}
    table(
        [shape.name, *(f"{threads} threads, ms" for threads in THREADS), "best / ours"],
        [
            [name, *(f"{1000 * row[t]:.1f}" if t in row else "-" for t in THREADS), f"{ratios[name]:.2f}"]
            for name, row in best.items()
        ],
    )
    if shape.window:
        at_least("zarr's own reader / ours", ratios[ZARR], 3)
        at_least("npz an episode / ours", ratios[NPZ], 20)
    print()


def added(data: Path, kind: str, budget: float, batches: int) -> int:
    """Return the bytes that loading adds to a process; it lets go of a batch before it asks for the next."""
    dataset = EpisodeDataset(data)
    sampler = samplers(dataset)[kind]

    def load() -> None:
        with Loader(dataset, sampler, memory=budget) as loader:
            for _ in range(batches):
                next(loader)

    return peak_memory(load).added


def samplers(dataset: EpisodeDataset) -> dict[str, Sampler]:
    """Return the samplers whose memory is measured; random windows leave most behind that nobody asks for again."""
    whole, streams = (shape.sampler(dataset) for shape in SHAPES)
    windows = Windows(streams.episodes, streams.lengths, streams.batch_size, seed=0, window=SHAPES[1].window)
    return {"whole trajectories": whole, "streams": streams, "random windows": windows}


def print_memory(data: Path, batches: int) -> None:
    """Print what our loader adds to the memory, beside its budget and the batch in use."""
    dataset, worst = EpisodeDataset(data), 0.0
    rows = []
    for kind, sampler in samplers(dataset).items():
        batch = batch_bytes(dataset.info, sampler.batch(0))
        for budget in BUDGETS:
            peak = in_fresh_process(added, data, kind, budget * 1e9, batches)
            bound = max(budget * 1e9, batch) + batch
            worst = max(worst, peak / bound)
            rows.append([kind, *(f"{x / 1e9:.3f}" for x in (budget * 1e9, batch, peak)), f"{peak / bound:.2f}"])
    table(["memory, GB", "budget", "batch in use", "added at the peak", "of both"], rows)
    at_most("added / (budget + batch in use)", worst, 1.1)


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--episodes", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--folder", type=Path, help="where the data are, or shall be kept; none: nowhere")
    parser.add_argument("--quick", action="store_true", help="a few episodes, one round")
    arguments = parser.parse_args()
    settle()
    episodes, rounds = (12, 1) if arguments.quick else (arguments.episodes, arguments.rounds)
    with tempfile.TemporaryDirectory() as scratch:
        place = prepare(arguments.folder or Path(scratch), episodes)
        for path in place:
            size = sum(file.stat().st_size for file in path.rglob("*") if file.is_file())
            print(f"  {path.name}: {size / 1e9:.2f} GB")
        print()
        for shape in SHAPES:
            print_shape(place, shape, rounds)
        print_memory(place.data, 4 if arguments.quick else 60)


if __name__ == "__main__":
    main()
