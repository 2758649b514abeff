"""A map of rooms joined by passages: what moves through it, draws it and describes it needs to know.

Positions are (x, y) in cells, y upward, and (0, 0) is the bottom left corner of the map with its outer walls.

Axes: H rows and W columns of the map (row 0 is the top), R rooms, N cells of a room.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np

NO_ROOM = -1
SIDES = 4  # of a room: west, east, south, north


class Point(NamedTuple):
    """A place, in cells."""

    x: float
    y: float


class Box(NamedTuple):
    """The floor of a room, in cells."""

    left: float
    right: float
    bottom: float
    top: float


@dataclass(frozen=True, eq=False)
class RoomMap:
    """A map that is whole: every room is closed and can be reached."""

    walls: np.ndarray  # (H W) bool
    room_id: np.ndarray  # (H W) int8, NO_ROOM in walls and passages
    boxes: tuple[Box, ...]  # (R)
    letters: tuple[str, ...]  # (R), their names in the text
    ways: dict[tuple[int, int], tuple[Point, ...]]  # (from, to): last cell here, bends, first cell there
    tour: tuple[int, ...]  # rooms in the order of a round trip; from the last one a way leads to the first one

    @cached_property
    def solid(self) -> bytes:
        """Where the walls are: cell (x, y) is nonzero at y * W + x, from the bottom row up."""
        return self.walls[::-1].tobytes()

    @cached_property
    def layout(self) -> np.ndarray:
        """The map as Memory Maze's `maze_layout`: (H-2 W-2) uint8, 1 = free, row 0 at the bottom, no outer walls."""
        return (~self.walls[1:-1, 1:-1][::-1]).astype(np.uint8)

    @cached_property
    def faces(self) -> np.ndarray:
        """Whose wall each cell is: (H W), SIDES * room + side of the nearest room, and the side that it lies beyond."""
        height, width = self.walls.shape
        y, x = np.mgrid[height - 0.5 : 0 : -1, 0.5:width]  # cells' middles
        left, right, bottom, top = np.array(self.boxes).T[..., None, None]
        beyond = np.stack([left - x, x - right, bottom - y, y - top], 1)  # (R SIDES H W)
        room = beyond.max(1).argmin(0)  # (H W)
        side = np.take_along_axis(beyond, room[None, None], 0)[0].argmax(0)
        return SIDES * room + side

    @cached_property
    def cells(self) -> tuple[np.ndarray, ...]:
        """Middles of the cells of each room, (N 2) float32; as Memory Maze counts, without the outer walls."""
        places = [np.argwhere(self.room_id == room) for room in range(len(self.boxes))]
        return tuple(
            np.stack([columns - 0.5, len(self.walls) - 1.5 - rows], 1).astype(np.float32)
            for rows, columns in (place.T for place in places)
        )
