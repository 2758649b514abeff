"""Folders as others write them, for the tests of conversions: tiny, and functions of the episode's number."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from longdream.datasets.progress import Progress

CELLS, OBJECTS = 5, 2


class Silent(Progress):
    """Progress that keeps what it is told."""

    def __init__(self) -> None:
        self.said: list[str] = []
        self.wanted = self.made = 0

    def say(self, text: str) -> None:
        self.said.append(text)

    def checked(self, done: int, total: int) -> None:
        pass

    def begin(self, episodes: int, frames: int | None) -> None:
        self.wanted = episodes

    def advance(self, frames: int) -> None:
        self.made += 1


def one_hot(rng: np.random.Generator, steps: int, actions: int = 6) -> np.ndarray:
    """Return actions (T A) that led to their frames."""
    action = np.eye(actions)[rng.integers(actions, size=steps)]
    action[0] = 0
    return action


def maze_arrays(index: int, steps: int = 31) -> dict[str, Any]:
    """Return a file of the official kind: an agent somewhere in a maze that is not its own transpose."""
    rng = np.random.default_rng(index)
    layout = np.zeros((CELLS, CELLS), np.uint8)
    layout[0], layout[:, 3] = 1, 1  # a corridor along the bottom, one up at x = 3
    along = np.stack([rng.uniform(0, CELLS, steps), rng.uniform(0, 1, steps)], 1)  # y = 0
    up = np.stack([rng.uniform(3, 4, steps), rng.uniform(0, CELLS, steps)], 1)
    position = np.where(rng.random((steps, 1)) < 0.5, along, up).astype(np.float32)
    position[:2] = [[4.5, 0.5], [3.5, 4.5]]  # each is a wall in the transposed maze
    heading = rng.uniform(0, 2 * np.pi, steps)
    targets = np.array([[0.5, 0.5], [3.5, 4.5]], np.float32)
    vectors = np.empty((steps, OBJECTS, 2))
    for t in range(steps):  # turned until the agent looks along +y
        c, s = np.cos(heading[t]), np.sin(heading[t])
        for m in range(OBJECTS):
            dx, dy = targets[m] - position[t]
            vectors[t, m] = [dx * s - dy * c, dx * c + dy * s]
    return {
        "image": rng.integers(0, 9, (steps, 20, 20, 3), np.uint8),
        "action": one_hot(rng, steps),
        "reward": rng.integers(0, 2, steps).astype(np.float64),
        "maze_layout": np.repeat(layout[None], steps, 0),
        "agent_pos": position,
        "agent_dir": np.stack([np.cos(heading), np.sin(heading)], 1).astype(np.float32),
        "targets_pos": np.repeat(targets[None], steps, 0),
        "targets_vec": vectors.astype(np.float32),
        "target_color": rng.random((steps, 3)),
    }


def replay_arrays(index: int) -> dict[str, Any]:
    """Return a file of a Dreamer's replay: lengths vary, actions are continuous."""
    rng = np.random.default_rng(index)
    steps = 12 + index
    action = rng.normal(size=(steps, 2)).astype(np.float32)
    action[0] = 0
    return {
        "image": rng.integers(0, 9, (steps, 20, 20, 3), np.uint8),
        "action": action,
        "reward": rng.random(steps, np.float32),
        "is_first": np.arange(steps) == 0,
        "is_last": np.arange(steps) == steps - 1,
        "is_terminal": (np.arange(steps) == steps - 1) & (index % 2 == 0),
        "discount": rng.random(steps, np.float32),
    }


def write_mazes(folder: Path, count: int, **changes: Any) -> Path:
    """Write an official folder; `changes` are of its last file."""
    folder.mkdir()
    for index in range(count):
        arrays = maze_arrays(index) | (changes if index == count - 1 else {})
        np.savez_compressed(folder / f"20220920T0000{index:02d}-31.npz", **arrays)
    return folder


def write_replay(folder: Path, count: int, **changes: Any) -> Path:
    """Write a replay folder; `changes` are of its last file."""
    folder.mkdir()
    for index in range(count):
        np.savez(folder / f"{index:04d}.npz", **(replay_arrays(index) | (changes if index == count - 1 else {})))
    return folder
