"""The end of a replay, in memory: episodes that are still running, and episodes that wait for their shard to be full.

Axes: T time; the axes of one step's value are (...).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ..datasets.episode import COMMON, CONTEXT, QUERY, ArraySpec, Episode, EpisodeSpec
from ..datasets.info import DatasetInfo

UNKNOWN_SEED = 0  # of an episode that an agent has played: a seed alone does not make it again
ROOM = 64  # steps that a new episode has room for


class Running:
    """An episode to which steps are still added.

    Attributes:
        length: T so far.
    """

    def __init__(self, info: DatasetInfo) -> None:
        self.observation, self.length = info.observation.name, 0
        core = (self.observation, "action", "reward", "terminal", "is_first")
        self._sides = {name: spec for name, spec in info.arrays.items() if name not in (*core, *COMMON)}
        steps = {name: spec for name, spec in self._sides.items() if spec.per_step}
        steps |= {name: info.arrays[name] for name in core}
        self._arrays = {name: _room(ROOM, spec) for name, spec in steps.items()}
        self._whole: dict[str, np.ndarray] = {}  # side arrays of the whole episode

    def append(
        self, obs: np.ndarray, action: np.ndarray, reward: np.ndarray, terminal: np.ndarray, sides: Mapping[str, Any]
    ) -> None:
        """Add a step: (...), (A), (), (), and all side arrays by name."""
        if self.length == len(self._arrays["reward"]):
            self._arrays = {name: np.concatenate([x, np.empty_like(x)]) for name, x in self._arrays.items()}
        values = dict(sides) | {self.observation: obs, "action": action, "reward": reward, "terminal": terminal}
        values["is_first"] = self.length == 0
        for name, array in self._arrays.items():
            array[self.length] = values[name]
        if self.length == 0:
            self._whole = {name: np.array(values[name]) for name, spec in self._sides.items() if not spec.per_step}
        self.length += 1

    def named(self) -> dict[str, np.ndarray]:
        """Return the steps so far, (T ...) each, and what holds for the episode, by their names in the store: views."""
        return {name: x[: self.length] for name, x in self._arrays.items()} | self._whole

    def restore(self, arrays: dict[str, np.ndarray]) -> None:
        """Put back what `named` returned."""
        self._arrays = {name: arrays[name].astype(x.dtype) for name, x in self._arrays.items()}
        self._whole = {name: arrays[name] for name, spec in self._sides.items() if not spec.per_step}
        self.length = len(arrays["reward"])

    def finish(self, spec: EpisodeSpec) -> Episode:
        """Return the episode that has ended: its context is that of `spec`, or half of what is no longer than that."""
        context = spec.context if self.length > spec.context else max(1, self.length // 2)
        arrays: dict[str, Any] = {name: x.copy() for name, x in self.named().items()}
        sides = {name: arrays.pop(name) for name in self._sides}
        filler = np.zeros(self.length, bool)
        phase = np.where(np.arange(self.length) < context, CONTEXT, QUERY).astype(np.uint8)
        obs = arrays.pop(self.observation)
        return Episode(obs, phase=phase, pad=filler, context=context, seed=UNKNOWN_SEED, extras=sides, **arrays)


class Waiting:
    """Ended episodes, in memory, to be read like those of a shard: they are to become one.

    Attributes:
        first: number of the first one.
    """

    def __init__(self, info: DatasetInfo, first: int) -> None:
        self.info, self.first = info, first
        self.kept: list[Episode] = []
        self._named: list[dict[str, Any]] = []

    def append(self, episode: Episode) -> None:
        """Add the episode that comes next."""
        self.kept.append(episode)
        self._named.append(episode.named(self.info.observation.name))

    @property
    def lengths(self) -> np.ndarray:
        """(E) int64, their numbers of steps."""
        return np.array([len(episode) for episode in self.kept], np.int64)

    def read(self, name: str, episode: int, start: int, stop: int, out: np.ndarray, goes_on: bool) -> None:
        """Copy steps `start` to `stop` of an array of an episode into `out`."""
        out[...] = self._named[episode - self.first][name][start:stop]


def _room(steps: int, spec: ArraySpec) -> np.ndarray:
    return np.empty((steps, *spec.shape), spec.dtype)
