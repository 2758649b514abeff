"""A picture of a whole world from above: for `render()`, not an observation.

Axes: H rows and W columns of the map (row 0 is the top), M spheres, P pixels across a cell.
"""

from __future__ import annotations

import math

import numpy as np

from ...datasets.frames.scene import SPHERE_COLORS, WALLS
from .room_world import World
from .walker import Walker

PIXELS = 16  # P
FLOOR, AGENT, EYE = (40, 40, 48), (255, 255, 255), (220, 30, 30)
WALL_COLORS = {
    "blue": (40, 60, 170),
    "cerise": (190, 40, 110),
    "green_bright": (90, 200, 80),
    "green": (40, 120, 50),
    "purple": (120, 60, 160),
    "red_bright": (230, 80, 60),
    "red": (150, 30, 30),
    "yellow": (210, 180, 40),
}
SPHERE, BODY, PUPIL = 0.3, 0.3, 0.12  # cells, radii


def top_view(world: World, walker: Walker) -> np.ndarray:
    """Draw a world of rooms, (H P, W P, 3) uint8."""
    colors = SPHERE_COLORS[world.object_color]
    return map_view(world.rooms.walls, world.wall_colors, world.object_pos, colors, walker)


def map_view(
    walls: np.ndarray, wall_colors: np.ndarray, spheres: np.ndarray, colors: np.ndarray, walker: Walker
) -> np.ndarray:
    """Draw walls, spheres, and the agent with its eye in front.

    Args:
        walls: (H W) bool.
        wall_colors: (H W), index into WALLS.
        spheres: (M 2), in cells without the outer walls.
        colors: (M 3) in [0, 1].
        walker: the agent.

    Returns:
        (H P, W P, 3) uint8.
    """
    palette = np.array([WALL_COLORS[name] for name in WALLS], np.uint8)
    cells = np.where(walls[..., None], palette[wall_colors], np.array(FLOOR, np.uint8))
    picture = cells.repeat(PIXELS, 0).repeat(PIXELS, 1)
    for (x, y), color in zip(spheres.tolist(), colors, strict=True):
        _disc(picture, x + 1, y + 1, SPHERE, color * 255)
    _disc(picture, walker.x, walker.y, BODY, AGENT)
    front = walker.x + BODY * math.cos(walker.heading), walker.y + BODY * math.sin(walker.heading)
    _disc(picture, *front, PUPIL, EYE)
    return picture


def _disc(picture: np.ndarray, x: float, y: float, radius: float, color: object) -> None:
    """Paint a disc; (x, y) in cells from the bottom left corner."""
    rows, columns = np.ogrid[: picture.shape[0], : picture.shape[1]]
    across, up = (columns + 0.5) / PIXELS - x, (picture.shape[0] - rows - 0.5) / PIXELS - y
    picture[across**2 + up**2 < radius**2] = color
