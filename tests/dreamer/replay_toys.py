"""Play without environments: steps that say themselves where they are from, and plain lists of what was played."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from longdream.datasets.episode import ArraySpec, EpisodeSpec, core_arrays
from longdream.datasets.info import DatasetInfo
from longdream.datasets.splits import Splits
from longdream.dreamer.environments.vector import Steps
from longdream.dreamer.replay import Replay

ROWS, ACTIONS, LONGEST, SEED = 3, 4, 12, 7
VECTORS, IMAGES = (5,), (20, 20, 3)  # images are big enough to be chunked


SIDES = {"clock": ArraySpec("int32", (2,)), "number": ArraySpec("uint8", (), per_step=False)}


class Step(NamedTuple):
    """One step of an episode, as the reference keeps it."""

    obs: np.ndarray
    action: np.ndarray
    reward: float
    terminal: bool
    first: bool


def toy_info(obs=VECTORS, sides=None) -> DatasetInfo:
    """Return what the replay is told of its episodes."""
    return DatasetInfo(
        environment="toy",
        options={},
        spec=EpisodeSpec(LONGEST // 2, LONGEST - LONGEST // 2),
        seed=0,
        episodes=0,
        splits=Splits.from_ratio(8, 1, 1),
        arrays=core_arrays(obs, ACTIONS) | (sides or {}),
        episodes_per_shard=1,
    )


def open_replay(root: Path, capacity: int = 10_000, obs=VECTORS, **changes) -> Replay:
    """Return a replay with the toys' settings."""
    return Replay(root, toy_info(obs), capacity, SEED, **changes)


def play(count: int, obs=VECTORS, start: int = 0, rows: int = ROWS) -> Iterator[Steps]:
    """Yield steps `start` to `count` - 1 of all rows: always the same ones. Every third episode is cut off.

    A vector begins with its row, its episode's number there, and its time; the pixels of an image are the like.
    """
    ended, number, time = np.ones(rows, bool), np.full(rows, -1), np.zeros(rows, int)
    for t in range(count):
        rng = np.random.default_rng(t)
        first = ended.copy()
        number, time = number + first, np.where(first, 0, time + 1)
        length = 2 + (number * 5 + np.arange(rows) * 3) % (LONGEST - 1)  # 2 to LONGEST
        ended = time == length - 1
        action = np.eye(ACTIONS, dtype=np.float32)[rng.integers(ACTIONS, size=rows)]
        action[first] = 0
        frames = rng.integers(0, 256, (rows, *obs)).astype(np.uint8 if len(obs) == 3 else np.float32)
        frames.reshape(rows, -1)[:, :3] = np.stack([np.arange(rows), number, time], 1)
        if t >= start:
            cut = ended & (number % 3 == 2)
            reward = rng.random(rows, np.float32)
            yield Steps(frames, reward, ended & ~cut, cut, first, number.astype(np.int64), action)


def sides_of(steps: Steps) -> dict[str, np.ndarray]:
    """Return what SIDES names, made of the first numbers of vectors; `number` is another one in every step."""
    clock = steps.obs[:, [0, 2]].astype(np.int32)
    return {"clock": clock, "number": (10 * steps.episode + clock[:, 1]).astype(np.uint8)}


class Reference:
    """What was played, as lists of steps: episodes in the order in which they ended, and those that still run."""

    def __init__(self) -> None:
        self.ended: list[list[Step]] = []
        self.running: list[list[Step]] = []

    def add(self, steps: Steps) -> None:
        self.running = self.running or [[] for _ in steps.reward]
        for n, row in enumerate(zip(*steps, strict=True)):
            obs, reward, terminal, truncated, first, _, action = row
            self.running[n] = ([] if first else self.running[n]) + [Step(obs, action, reward, terminal, first)]
            if terminal or truncated:
                self.ended.append(self.running[n])
                self.running[n] = []

    def sample(self, oldest: int, rows: int, length: int, update: int, start: str = "anywhere") -> list[list[Step]]:
        """Return a batch's windows, looked up step by step."""
        episodes = self.ended[oldest:] + [episode for episode in self.running if episode]
        flat = [(e, t) for e, episode in enumerate(episodes) for t in range(len(episode))]
        rng = np.random.default_rng(np.random.SeedSequence(SEED, spawn_key=(update,)))
        if start == "episode":
            starts = [(int(e), 0) for e in rng.integers(len(episodes), size=rows)]
        else:
            starts = [flat[s] for s in rng.integers(len(flat), size=rows)]
        most = int(np.ceil((length - 1) / min(map(len, episodes))))
        following = rng.integers(len(episodes), size=(rows, most))
        return [self._walk(episodes, *begin, list(then), length) for begin, then in zip(starts, following, strict=True)]

    def _walk(self, episodes, e, t, following, length) -> list[Step]:
        found: list[Step] = []
        while len(found) < length:
            if t == len(episodes[e]):
                e, t = following.pop(0), 0
            found.append(episodes[e][t])
            t += 1
        return found


def assert_is(batch, windows: list[list[Step]]) -> None:
    """See that a batch is exactly these windows."""
    obs = batch.obs.movedim(2, -1) if batch.obs.ndim == 5 else batch.obs
    for row, window in enumerate(windows):
        np.testing.assert_array_equal(obs[row].numpy(), np.stack([step.obs for step in window]))
        np.testing.assert_array_equal(batch.action[row].numpy(), np.stack([step.action for step in window]))
        np.testing.assert_array_equal(batch.reward[row].numpy(), [step.reward for step in window])
        np.testing.assert_array_equal(batch.cont[row].numpy(), [not step.terminal for step in window])
        np.testing.assert_array_equal(batch.first[row].numpy(), [step.first for step in window])
