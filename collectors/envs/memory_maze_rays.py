"""Which way the walker of Memory Maze tends to look at first: where dm_control finds the most space around it.

Written after dm_control's `random_goal_maze.py` (`_respawn`), which sends rays out with MuJoCo. Directions often tie,
and then the last bit of a distance decides: the arithmetic here is MuJoCo's, operation by operation.

Axes: W cells across a maze with its outer wall, M objects. Rows and columns count from the top left.
"""

from __future__ import annotations

import math

import numpy as np

RAYS = 10
CELL, RAY_HEIGHT = 2.0, 0.1  # metres
OBJECT_RADIUS, WALKER_RADIUS = 0.6, 0.2  # metres
WALKER_HEIGHT = 0.6 - 0.4  # metres, of the middle of its ball, as MuJoCo adds it up


def widest(walls: np.ndarray, spawn: np.ndarray, objects: np.ndarray) -> float:
    """Return the direction, of ten, in which there is most space before a wall or an object, as dm_control finds it.

    Args:
        walls: (W W) bool, row 0 on top.
        spawn: (2) row, column.
        objects: (M 2) likewise.
    """
    angles = [2 * np.pi * i / RAYS for i in range(RAYS)]
    return angles[int(np.argmax([_reach(walls, spawn, objects, np.cos(a), np.sin(a)) for a in angles]))]


def _reach(walls: np.ndarray, spawn: np.ndarray, objects: np.ndarray, dx: float, dy: float) -> float:
    """Return how many metres a ray goes from the middle of a cell, rounded as MuJoCo rounds: directions may tie.

    The walker counts as an obstacle in the middle of the map: the package moves it, but measures before the move shows.
    """
    distance = _to_wall(walls, spawn, dx, dy)
    middle = np.array(walls.shape) // 2
    balls = [(cell, OBJECT_RADIUS, 0.0) for cell in objects] + [(middle, WALKER_RADIUS, WALKER_HEIGHT)]
    for cell, radius, height in balls:
        (row, column), z = (spawn - cell) * CELL, RAY_HEIGHT - height  # from the ball to the ray's beginning
        a, b, c = dx * dx + dy * dy, column * dx - row * dy, column * column + row * row + z * z - radius * radius
        if (inside := b * b - a * c) >= 0:
            near, far = (-b - math.sqrt(inside)) / a, (-b + math.sqrt(inside)) / a
            distance = min([*[t for t in (near, far) if t >= 0][:1], distance])
    return distance


def _to_wall(walls: np.ndarray, spawn: np.ndarray, dx: float, dy: float) -> float:
    row, column = (int(i) for i in spawn)
    right, down = (1 if dx > 0 else -1), (1 if dy < 0 else -1)
    across, along = CELL / 2, CELL / 2  # to the next borders of cells
    while True:
        to_x = across / abs(dx) if abs(dx) > 1e-15 else math.inf
        to_y = along / abs(dy) if abs(dy) > 1e-15 else math.inf
        if to_x < to_y:
            column, across = column + right, across + CELL
        else:
            row, along = row + down, along + CELL
        if walls[row, column]:
            return min(to_x, to_y)
