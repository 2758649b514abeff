"""The script of Memory Maze: to one place after the other, each drawn at random, by a shortest way, under noise.

The policy behind the official probing data was never released; what is known is that it goes to random places under
action noise. So does this one: every free cell is as likely to be the next place as any other, and of all actions the
share NOISE is drawn at random. It tells context and query apart only in that each begins with a new place.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import permutations
from typing import Any, NamedTuple

import gymnasium
import numpy as np

from ..envs.memory_maze_world import place
from ..envs.walker import Action
from .errand import steer

NOISE = 0.1
ARRIVED = 0.35  # cells to the middle of the cell where it goes to
CHANCES = 4  # numbers in [0, 1) that a step takes
ORDERS = tuple(permutations([(1, 0), (0, 1), (-1, 0), (0, -1)]))  # of the sides of a cell


class Cell(NamedTuple):
    """A cell of the maze."""

    x: int
    y: int


class MemoryMazePolicy:
    """The policy."""

    def context(self, env: gymnasium.Env, rng: np.random.Generator) -> Iterator[int]:
        """Yield the context's actions."""
        yield from wander(env.unwrapped.world, env.unwrapped.lengths.context - 1, rng)

    def query(self, env: gymnasium.Env, rng: np.random.Generator) -> Iterator[int]:
        """Yield the query's actions."""
        yield from wander(env.unwrapped.world, env.unwrapped.lengths.query, rng)


def wander(world: Any, steps: int, rng: np.random.Generator) -> Iterator[int]:
    """Yield actions in a world (its `maze`, and its `now`, which they change)."""
    free = {Cell(x, y) for y, x in np.argwhere(world.maze.free).tolist()}
    cells, goal, onward = sorted(free), None, {}
    for where, order, noisy, action in rng.random((steps, CHANCES)).tolist():
        x, y, heading = place(world.now.walker)
        here = Cell(int(x), int(y))
        if goal is None or math.hypot(goal.x + 0.5 - x, goal.y + 0.5 - y) < ARRIVED:
            goal = cells[int(where * len(cells))]
            onward = ways_to(goal, free, int(order * len(ORDERS)))
        toward = onward[here]
        yield int(action * len(Action)) if noisy < NOISE else steer(heading, toward.x + 0.5 - x, toward.y + 0.5 - y)


def ways_to(goal: Cell, free: set[Cell], order: int) -> dict[Cell, Cell]:
    """Return the next cell of a shortest way to `goal`, from everywhere.

    Args:
        goal: where to; there one stays.
        free: all cells that one can walk on.
        order: number of the order in which sides are tried: where several ways are shortest, it decides.
    """
    onward, reached = {goal: goal}, [goal]
    for cell in reached:  # it grows
        for dx, dy in ORDERS[order]:
            beyond = Cell(cell.x + dx, cell.y + dy)
            if beyond in free and beyond not in onward:
                onward[beyond] = cell
                reached.append(beyond)
    return onward


POLICY = MemoryMazePolicy()
