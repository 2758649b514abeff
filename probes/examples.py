"""What a probe reads: features and right answers of a stretch of an episode, straight from disk.

Axes: N steps, F features, I inputs (features and what a task adds), (...) the shape of one step's target.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from ..datasets.reader import EpisodeDataset
from .features import Features
from .task import Sides, Task


class Example(NamedTuple):
    """Steps of an episode, or of several."""

    inputs: Tensor  # (N I) float32
    target: Tensor  # (N ...)

    def to(self, device: torch.device) -> Example:
        """Return it on `device`."""
        return Example(*(x.to(device) for x in self))


class Examples:
    """One task on one data set. Nothing is kept in memory.

    Attributes:
        task: what is asked.
        source: the episodes.
        features: of a model; None: the probe is fed the right answers.
    """

    def __init__(self, task: Task, source: EpisodeDataset, features: Features | None) -> None:
        self.task, self.source, self.features = task, source, features

    def read(self, episode: int, start: int = 0, stop: int | None = None) -> Example:
        """Return steps `start` to `stop` (None: the end) of an episode."""
        stop = self.source.length(episode) if stop is None else stop
        sides = sides_of(self.task, self.source, episode, start, stop)
        target, added = self.task.target(sides), self.task.added(sides)
        if self.features is None:
            features = self.task.as_features(target)
        else:
            features = self.features.read(episode, start, stop)
        return Example(features if added is None else torch.cat([features, added], -1), target)

    def targets(self, episodes: Sequence[int], counted: Callable[[EpisodeDataset, int], Tensor]) -> Iterator[Tensor]:
        """Yield the right answers of the steps that count, an episode at a time; `counted` is `asked` or `real`."""
        for episode in episodes:
            yield self.task.target(sides_of(self.task, self.source, episode))[counted(self.source, episode)]


def read_sides(
    source: EpisodeDataset, per_step: Sequence[str], per_episode: Sequence[str], episode: int, start: int, stop: int
) -> dict[str, Tensor]:
    """Return side arrays of steps `start` to `stop`, all (N ...); numbers with a fraction as float32."""
    found = {name: source.read(name, episode, start, stop) for name in per_step}
    found |= {name: source.value(name, episode)[None] for name in per_episode}
    tensors = {name: torch.from_numpy(array) for name, array in found.items()}
    return {
        name: (array.float() if array.is_floating_point() else array).expand(stop - start, *array.shape[1:])
        for name, array in tensors.items()
    }


def sides_of(task: Task, source: EpisodeDataset, episode: int, start: int = 0, stop: int | None = None) -> Sides:
    """Return the side arrays that a task needs, of steps `start` to `stop` (None: the end)."""
    stop = source.length(episode) if stop is None else stop
    return read_sides(source, task.per_step, task.per_episode, episode, start, stop)


def asked(source: EpisodeDataset, episode: int) -> Tensor:
    """Return which steps the headline is about, (T) bool: the query, without padding.

    It begins where the context ends, or in the middle of an episode that is all context.
    """
    steps = torch.arange(source.length(episode))
    return (steps >= first_of_query(source, episode)) & real(source, episode)


def real(source: EpisodeDataset, episode: int) -> Tensor:
    """Return which steps are no padding, (T) bool."""
    return torch.from_numpy(~source.read("pad", episode))


def first_of_query(source: EpisodeDataset, episode: int) -> int:
    """Return the step at which the query begins."""
    context, length = int(source.value("context", episode)), source.length(episode)
    return context if 0 < context < length else length // 2


class Block(NamedTuple):
    """Steps `start` to `stop` of an episode, trained on together."""

    episode: int
    start: int
    stop: int


def blocks(source: EpisodeDataset, episodes: Sequence[int], steps: int) -> list[Block]:
    """Cut episodes into blocks of so many steps; an episode's last block may be shorter."""
    return [
        Block(episode, start, min(start + steps, source.length(episode)))
        for episode in episodes
        for start in range(0, source.length(episode), steps)
    ]


def endless(items: Sequence[Block], seed: int) -> Iterator[Block]:
    """Yield the blocks in a random order, all of them once, then in another order, for ever."""
    rng = np.random.default_rng(seed)
    while True:
        for index in rng.permutation(len(items)):
            yield items[index]
