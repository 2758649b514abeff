"""What is drawn anew in every episode of the rooms, and the side arrays that tell of it.

Axes: T time, H rows and W columns of the map (row 0 is the top), R rooms, M spheres.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from ...datasets.episode import NO_TELEPORT, ArraySpec
from ...datasets.frames.scene import SPHERE_COLORS, WALLS
from .room_map import SIDES, RoomMap
from .walker import Walker

SPHERES = 2  # in each room
MARGIN = 0.4  # cells to the walls that the start keeps


@dataclass(frozen=True, eq=False)
class World:
    """One episode's rooms."""

    rooms: RoomMap
    wall_colors: np.ndarray  # (H W) uint8, index into WALLS
    object_pos: np.ndarray  # (M 2) float32, (x, y) in cells without the outer walls
    object_color: np.ndarray  # (M) uint8, index into SPHERE_COLORS
    start: Walker
    teleport_from: int = NO_TELEPORT  # step of the context whose pose the query starts from


class Track(NamedTuple):
    """Where the agent is at every observation, in cells with the outer walls, and where it faces."""

    x: np.ndarray  # (T) float64
    y: np.ndarray  # (T) float64
    cos: np.ndarray  # (T) float64, of the heading
    sin: np.ndarray  # (T) float64

    @classmethod
    def of(cls, walkers: Sequence[Walker]) -> Track:
        """Return the track of T walkers."""
        rows = [(x, y, math.cos(heading), math.sin(heading)) for x, y, heading, _, _ in walkers]
        return cls(*np.array(rows).T)


def extras_of(rooms: RoomMap) -> dict[str, ArraySpec]:
    """Return the side arrays: the agent's, and what is where."""
    (height, width), spheres = rooms.walls.shape, SPHERES * len(rooms.boxes)
    return {
        "agent_pos": ArraySpec("float32", (2,)),
        "agent_dir": ArraySpec("float32", (2,)),
        "room_id": ArraySpec("int8", ()),  # -1 in a passage
        "maze_layout": ArraySpec("uint8", (height - 2, width - 2), per_step=False),
        "wall_colors": ArraySpec("uint8", (height, width), per_step=False),
        "object_pos": ArraySpec("float32", (spheres, 2), per_step=False),
        "object_color": ArraySpec("uint8", (spheres,), per_step=False),
        "object_room": ArraySpec("int8", (spheres,), per_step=False),
    }


def draw(rooms: RoomMap, rng: np.random.Generator, last_teleport: int | None = None) -> World:
    """Draw a world.

    Args:
        rooms: the map, which stays as it is.
        rng: source of all chance.
        last_teleport: if the query begins with a teleport, the last step of the context that it may lead to.
    """
    count = len(rooms.boxes)
    sides = rng.integers(len(WALLS), size=SIDES * count).astype(np.uint8)
    places = np.concatenate([cells[rng.permutation(len(cells))[:SPHERES]] for cells in rooms.cells])
    colors = rng.integers(len(SPHERE_COLORS), size=len(places)).astype(np.uint8)
    left, right, bottom, top = rooms.boxes[rng.integers(count)]
    x, y = rng.uniform((left + MARGIN, bottom + MARGIN), (right - MARGIN, top - MARGIN)).tolist()
    start = Walker(x, y, rng.uniform(0, 2 * math.pi))
    teleport = NO_TELEPORT if last_teleport is None else int(rng.integers(last_teleport + 1))
    return World(rooms, sides[rooms.faces], places, colors, start, teleport)


def facts(world: World) -> dict[str, np.ndarray]:
    """Return the side arrays that hold for the whole episode, new ones each time."""
    count = len(world.rooms.boxes)
    return {
        "maze_layout": world.rooms.layout.copy(),
        "wall_colors": world.wall_colors.copy(),
        "object_pos": world.object_pos.copy(),
        "object_color": world.object_color.copy(),
        "object_room": np.repeat(np.arange(count, dtype=np.int8), SPHERES),
    }


def follow(world: World, track: Track) -> dict[str, np.ndarray]:
    """Return the side arrays of every step, with their leading axis T."""
    return {
        "agent_pos": np.stack([track.x - 1, track.y - 1], -1).astype(np.float32),
        "agent_dir": np.stack([track.cos, track.sin], -1).astype(np.float32),
        "room_id": world.rooms.room_id[::-1][track.y.astype(int), track.x.astype(int)],
    }
