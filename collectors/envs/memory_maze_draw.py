"""Draws Memory Maze's mazes: those that memory_maze 1.0.3 makes for a seed, with their objects, colours and start.

Everything random of an episode comes from one `numpy.random.RandomState`. This module draws from it in the order of
memory_maze's `tasks.py` and `maze.py` and of dm_control's `random_goal_maze.py`, which places the walker. It needs the
package's maze generator (labmaze) but no MuJoCo; the tests compare it with the package seed by seed.

Frame of reference: Memory Maze's. Positions are (x, y) in cells, y upward, (0, 0) the bottom left corner INSIDE the
outer wall. A heading is an angle in radians, counter-clockwise, 0 looks along +x.

Axes: S cells across a maze without its outer wall, M objects.
"""

from __future__ import annotations

import importlib
import math
from dataclasses import dataclass
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np

from ...datasets.frames.scene import WALLS
from .memory_maze_rays import widest

ADVICE = (
    "drawing Memory Maze's mazes needs labmaze, which comes with memory-maze, for Python 3.11 and 3.12: "
    "pip install 'memory-maze>=1.0.3'"
)
WALL, TARGET, SPAWN = "*", "G", "P"  # labmaze's tokens
WALL_STYLES = 11  # draws of a wall texture: one for unmarked walls, there are none, and ten for blocks
BLOCKS = 3  # by 3 blocks of the map, each with walls of its own texture
DULL, BRIGHT = 0, 1  # floors: of corridors, of rooms (datasets/frames/scene.py)


class Rules(NamedTuple):
    """What memory_maze's `tasks.py` sets for a size of maze."""

    objects: int  # M
    steps: int  # of an episode online
    max_rooms: int = 6
    room_max_size: int = 5  # cells


RULES = {
    9: Rules(3, 1000),
    11: Rules(4, 2000),
    13: Rules(5, 3000),
    15: Rules(6, 4000, max_rooms=9, room_max_size=3),
}


def rules(cells: int) -> Rules:
    """Return the rules of a size of maze.

    Raises:
        ValueError: if there is no such size.
    """
    if cells not in RULES:
        raise ValueError(f"cells {cells}: Memory Maze comes in {', '.join(map(str, RULES))} cells across")
    return RULES[cells]


class Place(NamedTuple):
    """Where the walker is and which way it faces."""

    x: float  # cells
    y: float  # cells
    heading: float  # radians


@dataclass(frozen=True)
class Maze:
    """A drawn world, as it is when an episode begins."""

    free: np.ndarray  # (S S) uint8, 1 where one can walk; row 0 is the bottom: [int(y), int(x)]
    wall_texture: np.ndarray  # (S + 2, S + 2) uint8 with the outer wall, row 0 on top; index into scene.WALLS, else 0
    floor_texture: np.ndarray  # likewise, index into scene.FLOORS
    objects: np.ndarray  # (M 2) float64; their colours are the first M of scene.SPHERE_COLORS
    target: int  # the object that is asked for first
    start: Place
    rng: np.random.RandomState  # whence the following targets come

    @property
    def size(self) -> int:
        """S."""
        return len(self.free)


def package_seed(seed: int) -> int | list[int]:
    """Return the package's form of a seed: itself below 2^32; a larger one, which it refuses, as two words."""
    return seed if seed < 2**32 else [seed % 2**32, seed >> 32]


def draw(cells: int, seed: int) -> Maze:
    """Draw the maze that `memory_maze_9x9(seed=seed).reset()` makes, or that of another number of cells.

    Args:
        cells: S, one of RULES.
        seed: 0 to 2^64 - 1.

    Raises:
        ValueError: if there is no such number of cells, or labmaze is not installed.
    """
    rng = np.random.RandomState(package_seed(seed))
    objects = rules(cells).objects
    generator = _generator(cells, int(rng.randint(2**31)))
    while True:
        generator.regenerate()  # the package throws the first one away, too
        tokens = np.array(generator.entity_layer)
        styles = [int(rng.choice(1 if i == 0 else len(WALLS))) for i in range(WALL_STYLES)]
        places = np.argwhere(tokens == TARGET).tolist()
        rng.shuffle(places)
        if len(places) >= objects:
            break
    target = int(rng.randint(objects))
    spawns = np.argwhere(tokens == SPAWN)
    spawn = spawns[rng.randint(len(spawns))]
    walls, chosen = tokens == WALL, np.array(places[:objects])
    x, y = _position(cells, spawn).tolist()
    turned = widest(walls, spawn, chosen) + math.pi * (1 + np.tanh(np.arctanh(rng.uniform(-1, 1))))
    return Maze(
        free=np.flipud(~walls)[1:-1, 1:-1].astype(np.uint8),
        wall_texture=np.where(walls, _blocks(cells + 2, styles[1:]), 0).astype(np.uint8),
        floor_texture=np.where(np.array(generator.variations_layer) == ".", DULL, BRIGHT).astype(np.uint8),
        objects=_position(cells, chosen),
        target=target,
        start=Place(x, y, -float(turned)),  # the steering hinge points down
        rng=rng,
    )


def labmaze() -> ModuleType:
    """Return the package that makes mazes.

    Raises:
        ValueError: if it is not installed.
    """
    try:
        return importlib.import_module("labmaze")
    except ImportError as error:
        raise ValueError(f"{ADVICE} ({error})") from None


def _generator(cells: int, seed: int) -> Any:
    """Return labmaze's generator with memory_maze's settings."""
    return labmaze().RandomMaze(
        height=cells + 2,
        width=cells + 2,
        max_rooms=RULES[cells].max_rooms,
        room_min_size=3,
        room_max_size=RULES[cells].room_max_size,
        max_variations=26,
        spawns_per_room=1,
        objects_per_room=1,
        simplify=True,
        random_seed=seed,
    )


def _position(size: int, places: np.ndarray) -> np.ndarray:
    """Return the middles (... 2) of places (row, column) of the map with its outer wall, row 0 on top."""
    return np.stack([places[..., 1] - 0.5, size + 0.5 - places[..., 0]], -1)


def _blocks(width: int, styles: list[int]) -> np.ndarray:
    """Return the map (W W) of textures, block by block as memory_maze's `_block_variations` cuts it."""
    edges = [i * width // BLOCKS for i in range(BLOCKS + 1)]
    block = np.repeat(np.arange(BLOCKS), np.diff(edges))  # (W)
    return np.array(styles, np.uint8)[block[:, None] * BLOCKS + block]
