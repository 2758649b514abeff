"""Memory Maze without MuJoCo: how the walker moves through a drawn maze, and what it collects on the way.

The walker is that of the rooms, whose constants are fitted to Memory Maze's. What touching an object does is taken from
memory_maze's `MemoryMazeTask.after_step`: a touch is rewarded if that object is the target, and the next target is any
object that is not being touched. One oddity of the package is left out: there an object in the middle cell of the map
counts as touched before the first step (the walker is moved away from it too late), and the first frame lacks it.

Axes: M objects.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from .memory_maze_draw import Maze, Place, draw
from .walker import Walker, advance

TOUCH = math.sqrt((0.6 + 0.2) ** 2 - 0.2**2) / 2  # cells: a ball of 0.2 m on the floor, half a ball of 0.6 m in it


class Moment(NamedTuple):
    """What changes in the course of an episode."""

    walker: Walker  # in cells WITH the outer wall
    target: int  # number of the object that is asked for
    reward: float = 0.0  # of the step that led here


class MazeWorld:
    """A drawn maze in which an episode goes on."""

    frame: np.ndarray | None = None  # what is seen now; here it is drawn by others

    def __init__(self, cells: int, seed: int) -> None:
        """Draw a maze and begin.

        Raises:
            ValueError: if there is no maze of that size, or what draws them is not installed.
        """
        self.maze = draw(cells, seed)
        self.now = begin(self.maze)
        self._objects = (self.maze.objects + 1).tolist()
        self._solid, self._width = np.pad(self.maze.free == 0, 1, constant_values=True).tobytes(), cells + 2

    def step(self, action: int) -> Moment:
        """Take one of the walker's actions."""
        before, target, _ = self.now
        after = advance(before, action, self._solid, self._width)
        touched = [i for i, spot in enumerate(self._objects) if _gap(spot, before, after) < TOUCH]
        reward = float(target in touched)
        if reward:
            target = next_target(self.maze, touched[touched.index(target) :])  # the package lets go of the others first
        self.now = Moment(after, target, reward)
        return self.now

    def close(self) -> None:
        """There is nothing to give back."""


def begin(maze: Maze) -> Moment:
    """Return the first moment in a maze."""
    x, y, heading = maze.start
    return Moment(Walker(x + 1, y + 1, heading), maze.target)


def place(walker: Walker) -> Place:
    """Return where a walker is, in cells without the outer wall."""
    return Place(walker.x - 1, walker.y - 1, walker.heading)


def next_target(maze: Maze, touched: list[int]) -> int:
    """Draw the next target."""
    while (target := int(maze.rng.randint(len(maze.objects)))) in touched:
        pass
    return target


def _gap(spot: list[float], before: Walker, after: Walker) -> float:
    """Return how near, in cells, the way of one step comes to a spot."""
    x, y = spot[0] - before.x, spot[1] - before.y
    dx, dy = after.x - before.x, after.y - before.y
    square = dx * dx + dy * dy
    share = min(max((x * dx + y * dy) / square, 0.0), 1.0) if square else 0.0
    return math.hypot(x - share * dx, y - share * dy)
