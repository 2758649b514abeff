"""What a replay has kept: ended episodes, numbered in the order in which they ended, in the shards of a data set.

A shard holds episodes kN to (k+1)N - 1. The episodes of the last one wait in memory until there are N of them; `flush`
writes what there is of it as a smaller shard, which the next one replaces. The oldest shards leave when those that
follow hold `capacity` steps. Which episodes are held is a function of the episodes that were added, and of nothing
else: not of what is on the disk yet, or still.

Axes: E held episodes.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np

from ..datasets.cache import Cache
from ..datasets.episode import Episode
from ..datasets.info import CHUNK, DatasetInfo, ShardRange, step_bytes
from ..datasets.reader import EpisodeDataset
from ..datasets.resume import begin, finish
from ..datasets.shard import SHARDS, Shard, committed
from ..datasets.target import LocalTarget
from .replay_tail import Waiting

SHARD_BYTES = 16e6  # raw bytes of the episodes of one shard, which wait in memory
FEWEST, MOST = 8, 1024  # episodes of one shard, as far as SHARD_BYTES lets it
SHARE = 8  # a shard is to be no more than this part of the capacity: so much at once is lost from the oldest end
STATES_KEPT = 2  # checkpoints that a run may have to go on from: the last one, and while it is written the one before


def replay_settings(root: Path, info: DatasetInfo, capacity: int) -> DatasetInfo:
    """Return what the data set at `root` is to be: the replay of what `info` describes.

    Args:
        root: its folder. The replay that is there already keeps the size of its shards.
        info: `spec.length` is the length of the longest episode.
        capacity: steps.

    Raises:
        ValueError: if the capacity is less than one episode.
    """
    if capacity < info.spec.length:
        raise ValueError(f"a replay of {capacity} steps does not hold one episode, which may have {info.spec.length}")
    info = dataclasses.replace(info, episodes=0, capacity=capacity, chunk=min(CHUNK, info.spec.length))
    if LocalTarget(root).folder.has("dataset.json"):
        return dataclasses.replace(info, episodes_per_shard=DatasetInfo.read(root).episodes_per_shard)
    episode = sum(step_bytes(spec) * (info.spec.length if spec.per_step else 1) for spec in info.stored.values())
    number = int(np.clip(capacity // (SHARE * info.spec.length), FEWEST, MOST))
    return dataclasses.replace(info, episodes_per_shard=max(1, min(number, int(SHARD_BYTES // episode))))


class ReplayStore:
    """The ended episodes of a replay; see the module's docstring.

    Attributes:
        info: what `dataset.json` says.
        oldest: number of the first episode held.
        lengths: (E) int64, of those held.
        waiting: those of the last shard.

    Raises:
        ValueError: if another data set is there, or episodes are missing among those that are.
        DatasetError: if a shard is damaged.
    """

    oldest: int
    lengths: np.ndarray
    waiting: Waiting

    def __init__(self, root: Path, info: DatasetInfo, cache: Cache) -> None:
        self.root, self.info, self.cache = root, info, cache
        self.target = LocalTarget(root)
        begin(root, info)
        self.target.remove_stale()
        finish(root, info)
        self._needed: list[int] = []  # `oldest` at the latest states
        self._open(None, None)

    @property
    def stop(self) -> int:
        """Number that the next episode gets."""
        return self.oldest + len(self.lengths)

    def piece(self, episode: int) -> Shard | Waiting:
        """Return what holds an episode, which is among those held."""
        if episode >= self.waiting.first:
            return self.waiting
        return self._shards[(episode - self.oldest) // self.info.episodes_per_shard]

    def append(self, episode: Episode) -> None:
        """Add an episode that has ended; a shard that is full is written, and what is too old leaves."""
        self.waiting.append(episode)
        self.lengths = np.append(self.lengths, len(episode))
        if len(self.waiting.kept) == self.info.episodes_per_shard:
            self._shards.append(self._write())
            self.waiting = Waiting(self.info, self.stop)
            self._flushed = self.stop
        self._retire()

    def flush(self) -> None:
        """Write what waits."""
        if self._flushed < self.stop:
            self._write()

    def remember(self) -> int:
        """Write what waits, and keep all that is held now until `STATES_KEPT` - 1 more calls; return `stop`.

        A run that was killed may call `go_back` with what any of the latest calls returned.
        """
        self.flush()
        self._needed = [*self._needed, self.oldest][-STATES_KEPT:]
        self._remove_retired()
        return self.stop

    def go_back(self, oldest: int, stop: int) -> None:
        """Hold episodes `oldest` to `stop` - 1 again, as when `remember` was called.

        Raises:
            ValueError: if they are not all there any more.
        """
        self._open(oldest, stop)
        self._needed = [oldest]

    def clear(self) -> None:
        """Hold nothing, and begin again with number 0."""
        self._open(0, 0)
        self._needed = []

    def _open(self, oldest: int | None, stop: int | None) -> None:
        """Hold the episodes on the disk from `oldest` to `stop` - 1 (None: all there are); remove newer ones.

        The cache is emptied: shards may come again under their names with other episodes.
        """
        self.cache.clear()
        size, places = self.info.episodes_per_shard, committed(self.root, self.info)
        ranges = [place.range for place in places]
        self.oldest = oldest if oldest is not None else ranges[0].first if ranges else 0
        stop = stop if stop is not None else ranges[-1].stop if ranges else 0
        cut = stop - stop % size  # where the last shard begins, which may not be full
        held = [place for place in places if self.oldest <= place.range.first and place.range.stop <= cut]
        last = any(what.first == cut and what.stop >= stop for what in ranges)
        if len(held) * size != cut - self.oldest or (stop > cut and not last):
            raise ValueError(
                f"{self.root} lacks some of the episodes {self.oldest} to {stop - 1}, which are to be held"
            )
        self._shards = [Shard(place.folder, self.info, self.cache) for place in held]
        self.waiting, self._flushed = Waiting(self.info, cut), stop
        if stop > cut:
            dataset = EpisodeDataset(self.root)
            for episode in range(cut, stop):
                self.waiting.append(dataset.episode(episode))
        known = [np.empty(0, np.int64), *(shard.lengths for shard in self._shards), self.waiting.lengths]
        self.lengths = np.concatenate(known)
        self._remove_newer([what for what in ranges if what.first >= cut and what.stop != stop])

    def _remove_newer(self, newer: list[ShardRange]) -> None:
        """Remove shards that hold newer episodes; what is to be kept of one is written as a smaller one before."""
        if any(what.first == self.waiting.first for what in newer) and self.waiting.kept:
            self._write()
        for what in reversed(newer):
            self.target.remove(what)

    def _write(self) -> Shard:
        """Write the shard of what waits, in place of the smaller one that is there."""
        what = ShardRange(self.waiting.first, self.stop)
        if not self.target.write_shard(self.info, what, self.waiting.kept):
            raise ValueError(f"{self.root} has a shard {what.name} already: does another run write this replay?")
        if what.first < self._flushed < what.stop:
            self.target.remove(ShardRange(what.first, self._flushed))
        self._flushed = what.stop
        return Shard((self.target.folder / SHARDS) / what.name, self.info, self.cache)

    def _retire(self) -> None:
        """Let go of the oldest shards as long as what follows them holds the capacity."""
        size, before = self.info.episodes_per_shard, self.oldest
        assert self.info.capacity is not None
        while self._shards and self.lengths[size:].sum() >= self.info.capacity:
            self._shards.pop(0)
            self.lengths = self.lengths[size:]
            self.oldest += size
        if self.oldest > before and not self._needed:
            self._remove_retired()

    def _remove_retired(self) -> None:
        """Remove from the disk what no run can go on from."""
        needed = min(self._needed, default=self.oldest)
        for place in committed(self.root, self.info):
            if place.range.stop <= needed:
                self.target.remove(place.range)
