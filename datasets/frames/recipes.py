"""From an episode's side arrays to what a renderer needs: how a data set that stores no frames gets them back.

An environment names its recipe (`Environment.recipe`); `dataset.json` records it. To add one: a function that takes the
stored arrays of some steps and the environment's options and returns a `View`, and a line in RECIPES. The environment
itself draws its observations through the same recipe, from arrays of the STORED types (a float64 position that is
stored as float32 would be drawn elsewhere): so frames are the same bytes whether they are stored or drawn on reading.

Axes: T time, H rows and W columns of the grid with its outer ring, M spheres.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from .scene import SPHERE_COLORS, Camera, Poses, Scene, View

EYE_AHEAD = 0.075  # cells (0.15 m): the eye of Memory Maze's walker; that of the rooms has it in its middle
BORDER_SHADE = 0.7  # of a target's colour, in Memory Maze's TargetColorAsBorderWrapper
Recipe = Callable[[Mapping[str, np.ndarray], Mapping[str, Any]], View]


def rooms(arrays: Mapping[str, np.ndarray], options: Mapping[str, Any]) -> View:
    """Return what is seen in the rooms.

    Args:
        arrays: `agent_pos` (T 2) and `agent_dir` (T 2), floats; `maze_layout` (H-2 W-2), `wall_colors` (H W),
            `object_pos` (M 2) and `object_color` (M), see `_maze`.
        options: `size`, pixels.
    """
    colors = SPHERE_COLORS[arrays["object_color"]]
    scene = _maze(arrays, arrays["maze_layout"], options, arrays["object_pos"], colors)
    return View(scene, _poses(arrays))


def memory_maze(arrays: Mapping[str, np.ndarray], options: Mapping[str, Any]) -> View:
    """Return what is seen in a Memory Maze: as the rooms, and the wanted target's colour around the picture.

    Args:
        arrays: `agent_pos` (T 2), `agent_dir` (T 2), `maze_layout` (T H-2 W-2), at every step the same; `wall_colors`
            (H W); `floor_colors` (H W) uint8, row 0 on top, index into FLOORS; `targets_pos` (T M 2), at every step the
            same, whose colours are the first M of SPHERE_COLORS; `target_color` (T 3) in [0, 1].
        options: `size`, pixels.
    """
    objects = arrays["targets_pos"][0]
    scene = _maze(arrays, arrays["maze_layout"][0], options, objects, SPHERE_COLORS[: len(objects)])
    poses = _poses(arrays)
    eye_x, eye_y = poses.x + EYE_AHEAD * np.cos(poses.heading), poses.y + EYE_AHEAD * np.sin(poses.heading)
    border = (arrays["target_color"] * 255 * BORDER_SHADE).astype(np.uint8)
    return View(scene, poses._replace(x=eye_x, y=eye_y, border=border))


RECIPES: dict[str, Recipe] = {"rooms": rooms, "memory_maze": memory_maze}


def _maze(
    arrays: Mapping[str, np.ndarray],
    layout: np.ndarray,
    options: Mapping[str, Any],
    spheres: np.ndarray,
    colors: np.ndarray,
) -> Scene:
    """Return the scene of a maze.

    Args:
        arrays: `wall_colors` (H W) uint8, row 0 on TOP, with the ring, index into WALLS; where there is one,
            `floor_colors` (H W), index into FLOORS.
        layout: (H-2 W-2), 1 = free, row 0 = BOTTOM, without the outer ring.
        options: `size`, pixels.
        spheres: (M 2) in cells, without the outer ring.
        colors: (M 3) in [0, 1].
    """
    walls = np.ones(arrays["wall_colors"].shape, bool)
    walls[1:-1, 1:-1] = layout[::-1] == 0
    floor = arrays.get("floor_colors", np.zeros(walls.shape, np.uint8))
    camera = Camera(size=int(options["size"]))
    return Scene(walls, arrays["wall_colors"], floor, spheres.astype(np.float64) + 1, colors, camera)


def _poses(arrays: Mapping[str, np.ndarray]) -> Poses:
    """Return the poses that `agent_pos` (T 2), in cells without the outer ring, and `agent_dir` (T 2) give."""
    x, y = arrays["agent_pos"].astype(np.float64).T + 1
    east, north = arrays["agent_dir"].astype(np.float64).T
    return Poses(x, y, np.arctan2(north, east))
