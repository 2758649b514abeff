"""The replay of an online run: a data set that grows at one end and leaves at the other, and is sampled meanwhile.

On the disk it is a data set like any other (`longdream inspect | verify | browse`, `evaluate`, `probe`, `train_wm.py
--data` read it, also while the run goes on). In memory are the running episodes and those of the last shard, and, as
far as `memory` allows, what was decoded.

A batch is a pure function of the seed, the number of the update and what had been added by then. So a run that goes on
from `state` samples the same batches as one that never stopped: `state` holds the running episodes and says which ended
ones belong to it, and `restore` drops those that came later.

Axes: B batch, T time, N rows (environments), E episodes, A action; the axes of an observation are (...).
"""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import Any, NamedTuple

import numpy as np

from ..datasets.batch import Batch
from ..datasets.cache import Cache
from ..datasets.draft import Draft
from ..datasets.folder import Where
from ..datasets.info import DatasetInfo
from ..datasets.loader import MEMORY
from ..datasets.reader import EpisodeDataset
from ..datasets.samplers import Windows
from .environments.vector import Steps
from .replay_store import ReplayStore, replay_settings
from .replay_tail import Running

RUNNING = 2**40  # number of the episode that runs in row 0, for as long as it does
THREADS = 2  # that decode observations which are chunked


class Population(NamedTuple):
    """What can be sampled."""

    episodes: np.ndarray  # (E) int64: of the initial data set -1, -2, ...; ended ones; running ones from RUNNING on
    lengths: np.ndarray  # (E) int64


class Replay:
    """See the module's docstring. Use it as a context manager: on leaving, its threads end.

    Args:
        root: its folder; the episodes that are there already are held again.
        info: what its episodes are; `spec` says how long the longest is, and what a model is shown of it.
        capacity: steps of ended episodes; when the shards after the oldest one hold so many, it leaves.
        seed: of what is sampled.
        initial: a data set whose training episodes can be sampled besides, for ever. It is only read.
        memory: bytes of what is decoded and kept.

    Raises:
        ValueError: if another data set is there, `initial` is of another kind, or `capacity` is less than an episode.
    """

    def __init__(
        self, root: Path, info: DatasetInfo, capacity: int, seed: int, initial: Where | None = None,
        memory: float = MEMORY,
    ) -> None:  # fmt: skip
        self.seed, self.initial, share = seed, None, memory
        self._before = Population(np.empty(0, np.int64), np.empty(0, np.int64))
        if initial is not None:
            self.initial, share = EpisodeDataset(initial), memory / 2
            _check_kind(self.initial, info)
            self.initial.cache.limit = share
            before = self.initial.split("train")
            self._before = Population(-1 - before, np.array([self.initial.length(int(e)) for e in before], np.int64))
        self.store = ReplayStore(root, replay_settings(root, info, capacity), Cache(share))
        self.info = self.store.info
        self._rows: list[Running | None] = []
        big = self.info.is_chunked(self.info.observation.name)
        self._pool = ThreadPoolExecutor(THREADS, thread_name_prefix="replay") if big else None

    def __enter__(self) -> Replay:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._pool is not None:
            self._pool.shutdown(wait=True, cancel_futures=True)

    @property
    def steps(self) -> int:
        """How many steps it holds, those of running episodes among them, and not those of the initial data set."""
        return int(self.store.lengths.sum()) + sum(row.length for row in self._rows if row is not None)

    @property
    def episodes(self) -> int:
        """How many ended episodes it holds."""
        return len(self.store.lengths)

    def add(self, steps: Steps, sides: Mapping[str, np.ndarray] = MappingProxyType({})) -> None:
        """Take a step of every row. Where one begins although the last had not ended, the last is dropped.

        Args:
            steps: (N ...); always of as many rows.
            sides: the side arrays that `info` names, {name: (N ...)}.
        """
        self._rows = self._rows or [None] * len(steps.reward)
        for n, (first, ended) in enumerate(zip(steps.first, steps.terminal | steps.truncated, strict=True)):
            row = Running(self.info) if first else self._rows[n]
            if row is None:
                raise ValueError(f"row {n} goes on with an episode of which the replay has no beginning")
            of_row = {name: values[n] for name, values in sides.items()}
            row.append(steps.obs[n], steps.action[n], steps.reward[n], steps.terminal[n], of_row)
            self._rows[n] = None if ended else row
            if ended:
                self.store.append(row.finish(self.info.spec))

    def sample(self, batch_size: int, length: int, update: int, start: str = "anywhere") -> Batch:
        """Return the batch of an update: windows of all that was added by now.

        A window begins at a step drawn from all steps alike. Where its episode ends, or is running and has no more
        steps, another follows from its first step on: at every place in a window every step is equally likely. Its
        own first step is mostly in the middle of an episode; see `Batch.afresh`.

        Args:
            batch_size: B.
            length: T.
            update: its number; the same gives the same batch as long as nothing is added.
            start: "anywhere", or "episode": windows begin at the first step of an episode drawn from all alike.

        Raises:
            ValueError: if nothing was added yet, or a number is not 1 or more.
            DatasetError: if the data are damaged.
        """
        population = self._population()
        if not len(population.episodes):
            raise ValueError("the replay is empty: add steps to it before you sample")
        windows = Windows(*population, batch_size, self.seed, window=length, start=start)
        draft = Draft(self, windows.batch(update), pin_memory=False, draw_on=None, goes_on=False)
        if self._pool is None:
            for task in draft.tasks:
                task()
        else:
            list(self._pool.map(lambda task: task(), draft.tasks))
        return draft.batch

    def flush(self) -> None:
        """Write all episodes that have ended."""
        self.store.flush()

    def clear(self) -> None:
        """Drop everything, for a run that begins from scratch."""
        self.store.clear()
        self._rows = []

    def state(self) -> dict[str, Any]:
        """Write all episodes that have ended, and return what `restore` takes; nothing of it changes any more.

        The latest two states can be gone back to.
        """
        stop = self.store.remember()
        rows = [None if row is None else {k: x.copy() for k, x in row.named().items()} for row in self._rows]
        return {"oldest": self.store.oldest, "stop": stop, "rows": rows}

    def restore(self, state: dict[str, Any]) -> None:
        """Hold what was held at a state again; what was added since is removed.

        Raises:
            ValueError: if some of it is not there any more.
        """
        self.store.go_back(state["oldest"], state["stop"])
        self._rows = [None if arrays is None else Running(self.info) for arrays in state["rows"]]
        for row, arrays in zip(self._rows, state["rows"], strict=True):
            if row is not None:
                row.restore(arrays)

    def read(
        self, name: str, episode: int, start: int, stop: int, out: np.ndarray | None = None, goes_on: bool = True
    ) -> np.ndarray:
        """Return steps `start` to `stop` (exclusive) of an array of an episode of the `Population`; for `Draft`."""
        if episode < 0:
            assert self.initial is not None
            return self.initial.read(name, -1 - episode, start, stop, out, goes_on)
        if out is None:
            spec = self.info.arrays[name]
            out = np.empty((stop - start, *spec.shape), spec.dtype)
        if episode < RUNNING:
            self.store.piece(episode).read(name, episode, start, stop, out, goes_on)
        else:
            row = self._rows[episode - RUNNING]
            assert row is not None
            out[...] = row.named()[name][start:stop]
        return out

    def _population(self) -> Population:
        running = [(RUNNING + n, row.length) for n, row in enumerate(self._rows) if row is not None]
        numbers, lengths = np.array(running, np.int64).reshape(-1, 2).T
        ended = np.arange(self.store.oldest, self.store.stop)
        return Population(
            np.concatenate([self._before.episodes, ended, numbers]),
            np.concatenate([self._before.lengths, self.store.lengths, lengths]),
        )


def _check_kind(initial: EpisodeDataset, info: DatasetInfo) -> None:
    """Refuse a data set whose observations or actions are not those of the run."""
    for name in (info.observation.name, "action"):
        theirs, ours = initial.info.arrays.get(name), info.arrays[name]
        if theirs != ours:
            found = "nothing" if theirs is None else f"{theirs.dtype} {theirs.shape}"
            raise ValueError(f"{initial.folder} has {found} as {name}, the run has {ours.dtype} {ours.shape}")
