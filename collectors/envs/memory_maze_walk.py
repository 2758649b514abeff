"""Collects whole episodes of Memory Maze: the fast path, bit-identical to stepping the environment.

The policy walks first, without pictures; then one call of the renderer draws them all.

Axes: T time.
"""

from __future__ import annotations

from itertools import chain
from typing import NamedTuple

import numpy as np

from ...datasets.episode import Episode, EpisodeSpec
from ..policies.memory_maze import wander
from ..rollout import assemble, policy_generator
from .memory_maze import MemoryMazeOptions, make_world, pictures, spec
from .memory_maze_sides import facts, follow
from .memory_maze_stock import StockMaze
from .memory_maze_world import MazeWorld, Moment
from .walker import Action


class Walk(NamedTuple):
    """An episode as it was walked."""

    moments: list[Moment]  # T
    actions: list[int]  # T - 1, [t] is taken at moment t
    frames: list[np.ndarray]  # T, where the world draws them itself; else none


def replay(cells: int, options: MemoryMazeOptions, seed: int) -> Episode:
    """Return the episode that `rollout` would give."""
    world = make_world(cells, options, seed)
    try:
        walk = walk_through(world, spec(options), seed)
    finally:
        world.close()
    sides = follow(world.maze, walk.moments) | facts(world.maze)
    return assemble(
        spec(options),
        len(Action),
        seed,
        np.stack(walk.frames) if walk.frames else pictures(options, sides),
        np.array(walk.actions),
        np.zeros(len(walk.actions), bool),
        np.array([moment.reward for moment in walk.moments], np.float32),
        np.zeros(len(walk.moments), bool),
        sides,
    )


def walk_through(world: MazeWorld | StockMaze, lengths: EpisodeSpec, seed: int) -> Walk:
    """Walk through a world under the policy for a whole episode."""
    (context, query), rng = lengths, policy_generator(seed)
    walk = Walk([world.now], [], [])
    if world.frame is not None:
        walk.frames.append(world.frame)
    for action in chain(wander(world, context - 1, rng), wander(world, query, rng)):
        walk.moments.append(world.step(action))
        walk.actions.append(action)
        if world.frame is not None:
            walk.frames.append(world.frame)
    return walk
