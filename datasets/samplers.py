"""Which steps of which episodes make batch number `step`: pure functions, so all processes agree and a run can go on
anywhere.

`WholeTrajectories` and `Streams` walk through the concatenation of the epochs' permutations, in which every episode
comes exactly once an epoch: the one cuts it into batches, the other deals it out to rows that never end. `Windows` are
drawn anew for every batch.

Axes: B batch, E episodes, W window.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import KW_ONLY, dataclass
from functools import lru_cache
from itertools import chain, count
from typing import ClassVar, NamedTuple

import numpy as np

STARTS = ("anywhere", "episode")  # of `Windows`


class Segment(NamedTuple):
    """Steps `start` to `stop` (exclusive) of an episode."""

    episode: int
    start: int
    stop: int


Row = tuple[Segment, ...]  # one row of a batch: segments one after another


def row_length(row: Row) -> int:
    """Return the number of steps of a row."""
    return sum(segment.stop - segment.start for segment in row)


@dataclass(eq=False)
class Sampler(ABC):
    """An endless sequence of batches. There is no state to save: a run that goes on at step k asks for batch k.

    Raises:
        ValueError: if there are no episodes, or the batch cannot be shared equally.
    """

    carries: ClassVar[bool] = False  # whether a row goes on where the same row of the batch before has stopped

    episodes: np.ndarray  # (E) their indices
    lengths: np.ndarray  # (E) their numbers of steps
    batch_size: int  # B, the global batch, summed over the ranks; each rank takes a contiguous share of its rows
    seed: int  # of all that is drawn
    rank: int = 0  # of this process
    world_size: int = 1  # number of processes

    def __post_init__(self) -> None:
        if len(self.episodes) == 0:
            raise ValueError("there are no episodes to sample from: this split is empty")
        if self.batch_size < 1 or self.batch_size % self.world_size:
            raise ValueError(
                f"batch_size {self.batch_size} cannot be shared by {self.world_size} processes, as many rows each: "
                f"make it a multiple of {self.world_size}, or start a number of processes that divides it"
            )
        if not 0 <= self.rank < self.world_size:
            raise ValueError(f"rank {self.rank} is not one of {self.world_size} processes")
        self.episodes, self.lengths = np.array(self.episodes, np.int64), np.array(self.lengths, np.int64)
        share = self.batch_size // self.world_size
        self.rows = range(self.rank * share, (self.rank + 1) * share)  # of the global batch, those of this rank
        self._epoch = lru_cache(maxsize=2)(self._permutation)

    @abstractmethod
    def batch(self, step: int) -> list[Row]:
        """Return this rank's rows (B/world_size) of batch `step`, counted from 0."""

    def _permutation(self, epoch: int) -> np.ndarray:
        """Return the order of an epoch (E), as positions in `episodes`."""
        generator = np.random.default_rng(np.random.SeedSequence(self.seed, spawn_key=(epoch,)))
        return generator.permutation(len(self.episodes))


@dataclass(eq=False)
class WholeTrajectories(Sampler):
    """Whole episodes in random order. A batch may span two epochs, and none is ever short.

    Raises:
        ValueError: as `Sampler`, or if the episodes have more than one length.
    """

    def __post_init__(self) -> None:
        super().__post_init__()
        other = np.flatnonzero(self.lengths != self.lengths[0])
        if len(other):
            raise ValueError(
                f"whole trajectories must have one length: episode {self.episodes[0]} has {self.lengths[0]} steps, "
                f"episode {self.episodes[other[0]]} has {self.lengths[other[0]]}; windows (--window) take any"
            )

    def batch(self, step: int) -> list[Row]:
        """Return this rank's episodes of batch `step`, each a row of one segment."""
        return [self._whole(step * self.batch_size + row) for row in self.rows]

    def _whole(self, position: int) -> Row:
        epoch, turn = divmod(position, len(self.episodes))
        place = self._epoch(epoch)[turn]
        return (Segment(int(self.episodes[place]), 0, int(self.lengths[place])),)


@dataclass(eq=False)
class Streams(Sampler):
    """Endless streams for truncated backpropagation through time: a row goes on where its last window stopped.

    Row r is the exact concatenation of the episodes at places r, r + B, r + 2B, ... of the epochs' permutations; its
    window number `step` is steps `step` W to (`step` + 1) W of that, and may span several episodes, of any lengths.

    Raises:
        ValueError: as `Sampler`, or if the window has no step.
    """

    carries: ClassVar[bool] = True

    _: KW_ONLY
    window: int  # W, in steps

    def __post_init__(self) -> None:
        super().__post_init__()
        _check_window(self.window)
        # (B) where each epoch begins in every stream, as far as asked
        self._begins = [np.zeros(self.batch_size, np.int64)]
        self._ends = lru_cache(maxsize=2 * len(self.rows))(self._cumulate)

    def batch(self, step: int) -> list[Row]:
        """Return window number `step` of each of this rank's streams."""
        return [self._cut(row, step * self.window, (step + 1) * self.window) for row in self.rows]

    def _cut(self, row: int, start: int, stop: int) -> Row:
        """Return steps `start` to `stop` of a stream."""
        segments: list[Segment] = []
        for whole, end in self._stream(row, start):
            begin = end - whole.stop
            segments.append(Segment(whole.episode, max(0, start - begin), min(end, stop) - begin))
            if end >= stop:
                break
        return tuple(segments)

    def _stream(self, row: int, step: int) -> Iterator[tuple[Segment, int]]:
        """Yield the episodes of a stream from the one at `step` on, with where each ends, in steps of the stream."""
        for epoch in count(self._epoch_at(row, step)):
            places, ends = self._places(row, epoch), self._ends(row, epoch)
            for turn in range(int(np.searchsorted(ends, step, "right")), len(ends)):
                place = places[turn]
                yield Segment(int(self.episodes[place]), 0, int(self.lengths[place])), int(ends[turn])

    def _epoch_at(self, row: int, step: int) -> int:
        """Return the epoch in which a stream is at `step`."""
        while self._begins[-1][row] <= step:
            self._begin(len(self._begins))
        return bisect_right(self._begins, step, key=lambda begins: begins[row]) - 1

    def _begin(self, epoch: int) -> np.ndarray:
        """Return where an epoch begins in every stream (B), in steps of the stream."""
        for before in range(len(self._begins) - 1, epoch):
            rows = np.arange(before * len(self.episodes), (before + 1) * len(self.episodes)) % self.batch_size
            dealt = np.bincount(rows, self.lengths[self._epoch(before)], self.batch_size)
            self._begins.append(self._begins[before] + dealt.astype(np.int64))
        return self._begins[epoch]

    def _cumulate(self, row: int, epoch: int) -> np.ndarray:
        """Return where each episode that an epoch deals to a row ends, in steps of the stream."""
        return self._begin(epoch)[row] + np.cumsum(self.lengths[self._places(row, epoch)])

    def _places(self, row: int, epoch: int) -> np.ndarray:
        """Return the positions in `episodes` that an epoch deals to a row: every B-th of what is concatenated."""
        first = (row - epoch * len(self.episodes)) % self.batch_size
        return self._epoch(epoch)[first :: self.batch_size]


@dataclass(eq=False)
class Windows(Sampler):
    """Windows that begin anywhere: at a step drawn from all steps of all episodes, so longer ones come more often.

    Or, if so asked, at the first step of an episode drawn from all alike.

    Where its episode ends inside a window, others follow from their first step, drawn from all alike, of any lengths:
    `Batch.first` marks the border, and the model forgets there what was before. Nothing is carried into a window, so
    its own first step, mostly in the middle of an episode, is a beginning for the model too, although no episode
    begins there and an action led to it: whoever trains on it says so by `Batch.afresh`, as DreamerV3's replay does.

    Raises:
        ValueError: as `Sampler`, if the window has no step, or there is no such start.
    """

    _: KW_ONLY
    window: int  # W, in steps
    start: str = "anywhere"  # or "episode"

    def __post_init__(self) -> None:
        super().__post_init__()
        _check_window(self.window)
        if self.start not in STARTS:
            raise ValueError(f"windows do not start {self.start!r}; they do {' or '.join(STARTS)}")
        self._ends = np.cumsum(self.lengths)  # (E) where each episode ends, counted over all steps
        self._most = -(-(self.window - 1) // int(self.lengths.min()))  # episodes that may follow the first of a row

    def batch(self, step: int) -> list[Row]:
        """Return this rank's windows of batch `step`; every rank draws those of all, from one generator."""
        generator = np.random.default_rng(np.random.SeedSequence(self.seed, spawn_key=(step,)))
        if self.start == "episode":
            places = generator.integers(len(self.episodes), size=self.batch_size)
            starts = self._ends[places] - self.lengths[places]
        else:
            starts = generator.integers(self._ends[-1], size=self.batch_size)
        following = generator.integers(len(self.episodes), size=(self.batch_size, self._most))
        return [self._cut(starts[row], following[row]) for row in self.rows]

    def _cut(self, start: int, following: np.ndarray) -> Row:
        """Return W steps from step `start` of all on; `following` are the places of the episodes that may come then."""
        place = np.searchsorted(self._ends, start, "right")
        inside = start - self._ends[place] + self.lengths[place]
        segments: list[Segment] = []
        missing = self.window
        for begin, turn in chain([(inside, place)], ((0, turn) for turn in following)):
            stop = min(begin + missing, self.lengths[turn])
            segments.append(Segment(int(self.episodes[turn]), int(begin), int(stop)))
            missing -= stop - begin
            if not missing:
                break
        return tuple(segments)


def _check_window(window: int) -> None:
    if window < 1:
        raise ValueError(f"a window must have 1 step or more, not {window}")
