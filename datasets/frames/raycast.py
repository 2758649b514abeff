"""What both ray casters share: everything that is worked out once per scene or once per step, before any pixel.

One ray per COLUMN of the picture finds the wall; the column's pixels then follow from distances. The camera's pitch is
drawn as a shift of the horizon (a shifted lens rather than a tilted one), which keeps walls upright; `mujoco` draws the
tilt. Both ray casters do the same arithmetic in the same order and type on what is prepared here, so their frames
agree to the bit wherever floats are IEEE's: positions and walls in float64, pixels in float32 and integers.

Several scenes may be drawn at once (a batch of episodes), if they are alike: same grid size, camera, number of spheres.

Axes: E scenes, T steps of all of them, H rows and W columns of the grid, M spheres, S pixels across, L texture levels.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from .scene import Camera, Scene, View
from .textures import FLOOR, LEVELS, TEXELS, pack, textures

COARSEST = 1.5  # texels a pixel may step over before the next level is taken
SKY_TOP, SKY_BOTTOM = np.array([0.4, 0.6, 0.8]), np.zeros(3)  # of Memory Maze's gradient
FIXED = 16  # bits after the point of a texture's row
FULL = 256  # a shade of 1
BORDER = 2.0  # pixels, at 64 across
NEAREST = 1e-3  # metres: a wall is at least so far, which keeps its rows finite


class Table(NamedTuple):
    """What depends on the scenes alone. "up" grids have row 0 at the bottom, so that they are indexed by floor(y)."""

    walls: np.ndarray  # (E H W) bool, up
    wall_base: np.ndarray  # (E H W L) int32, up: where the cell's wall texture begins among the texels
    floor_base: np.ndarray  # (E H W L) int32, up: the same of its floor
    colors: np.ndarray  # (E M) int32, packed
    texels: np.ndarray  # (N) int32, packed; the last S * S are the sky as the camera sees it, row by row
    across: np.ndarray  # (S) float64, u: metres to the right, a metre ahead, of a column
    slope: np.ndarray  # (S) float32, v: metres up, a metre ahead, of a row
    reach: np.ndarray  # (S) float32, cells ahead to where a row meets the floor; 0 above the horizon
    floor_level: np.ndarray  # (S) int32
    wall_ends: np.ndarray  # (L - 1) float64, metres: a wall further than the first l of them is drawn at level l
    floor_shade: int  # of FULL
    horizon: float  # rows from the top
    first_floor_row: int  # the first row below the horizon


class Steps(NamedTuple):
    """What depends on the pose: one row a step."""

    scene: np.ndarray  # (T) int64, which of the E
    position: np.ndarray  # (T 2) float64, cells
    ahead: np.ndarray  # (T 2) float64, unit vector
    wall_shade: np.ndarray  # (T 2) int32, of FULL: of walls across x, across y
    spheres: np.ndarray  # (T M 3) float32: metres ahead, metres to the right, squared distance less squared radius
    boxes: np.ndarray  # (T M 4) int32: columns first to stop, rows first to stop that may show it; empty when hidden
    border: np.ndarray  # (T) int32, packed; empty for none


def table(scenes: Sequence[Scene]) -> Table:
    """Prepare scenes.

    Raises:
        ValueError: if they are not alike.
    """
    scene, picture = scenes[0], textures()
    for other in scenes[1:]:
        if _likeness(other) != _likeness(scene):
            raise ValueError(f"scenes drawn together must be alike: {_likeness(scene)} and {_likeness(other)}")
    camera = scene.camera
    size, focal = camera.size, camera.focal
    horizon = size / 2 + focal * math.tan(camera.pitch)
    rows = np.arange(size) + 0.5
    slope = (horizon - rows) / focal
    below = slope < 0
    reach = np.where(below, camera.height / np.where(below, -slope, 1.0), 0.0) / scene.cell
    step = TEXELS * (reach * scene.cell) ** 2 / (focal * camera.height * scene.cell)  # texels from a row to the next
    fits = focal * scene.wall_height / TEXELS  # metres at which a wall has a texel a pixel
    coarser = COARSEST * 2.0 ** np.arange(LEVELS - 1)
    return Table(
        walls=np.stack([one.walls[::-1] != 0 for one in scenes]),
        wall_base=picture.base[np.stack([one.wall_texture[::-1] for one in scenes])],
        floor_base=picture.base[FLOOR + np.stack([one.floor_texture[::-1] for one in scenes]).astype(np.int64)],
        colors=pack(np.rint(np.stack([one.colors for one in scenes]) * 255)),
        texels=np.concatenate([picture.texels, pack(sky(camera)).ravel()]),
        across=(rows - size / 2) / focal,
        slope=slope.astype(np.float32),
        reach=reach.astype(np.float32),
        floor_level=(step[:, None] > coarser).sum(1).astype(np.int32),
        wall_ends=fits * coarser,
        floor_shade=int(_shade(scene, np.array(math.sin(-camera.pitch)))),
        horizon=horizon,
        first_floor_row=int(np.argmax(below)) if below.any() else size,
    )


def steps(views: Sequence[View], fixed: Table) -> Steps:
    """Prepare the steps of all views, one after the other."""
    parts = [_steps(index, view, fixed) for index, view in enumerate(views)]
    return Steps(*(np.concatenate(values) for values in zip(*parts, strict=True)))


def _steps(index: int, view: View, fixed: Table) -> Steps:
    scene, poses = view
    position = np.stack([poses.x, poses.y], 1).astype(np.float64)
    ahead = np.stack([np.cos(poses.heading), np.sin(poses.heading)], 1)
    offset = (scene.spheres[None] - position[:, None]) * scene.cell  # (T M 2)
    depth = (offset * ahead[:, None]).sum(2)
    side = offset[..., 0] * ahead[:, None, 1] - offset[..., 1] * ahead[:, None, 0]
    power = depth**2 + side**2 + scene.camera.height**2 - scene.sphere_radius**2
    boxes = _boxes(scene, depth, side, fixed.horizon)
    if poses.visible is not None:
        boxes[..., 1] = np.where(poses.visible, boxes[..., 1], 0)
    return Steps(
        scene=np.full(len(position), index),
        position=position,
        ahead=ahead,
        wall_shade=_shade(scene, np.abs(ahead) * math.cos(scene.camera.pitch)),
        spheres=np.stack([depth, side, power], 2).astype(np.float32),
        boxes=boxes,
        border=np.empty(0, np.int32) if poses.border is None else pack(poses.border),
    )


def _likeness(scene: Scene) -> tuple[object, ...]:
    """Return what must be equal in scenes that are drawn together."""
    plain = [getattr(scene, field.name) for field in dataclasses.fields(scene)[5:]]
    return (scene.walls.shape, len(scene.spheres), *plain)


def sky(camera: Camera) -> np.ndarray:
    """Return the sky as it stands behind every pixel, (S S 3) integers of 0 to 255.

    Source: MuJoCo's builtin "gradient" (user_objects.cc): an s-curve of the elevation from the top's colour to the
    bottom's.
    """
    y, x = np.mgrid[: camera.size, : camera.size] + 0.5
    right, up = (x - camera.size / 2) / camera.focal, (camera.size / 2 - y) / camera.focal
    rise = math.sin(camera.pitch) + up * math.cos(camera.pitch)
    elevation = np.arcsin(rise / np.sqrt(1 + right**2 + up**2)) / (math.pi / 2)  # -1 to 1
    weight = ((1 + elevation * math.sqrt(2) / np.sqrt(1 + elevation**2)) / 2)[..., None]
    return np.rint(255 * (weight * SKY_TOP + (1 - weight) * SKY_BOTTOM)).astype(np.int32)


def border_width(size: int) -> int:
    """Return the pixels of Memory Maze's border at a size of frame."""
    return int(BORDER * math.sqrt(max(size // 64, 0.25)))


def _shade(scene: Scene, cosine: np.ndarray) -> np.ndarray:
    """Return the light on a surface that the camera's lamp meets under an angle, of FULL."""
    return np.minimum(np.rint((scene.ambient + scene.diffuse * cosine) * FULL), FULL).astype(np.int32)


def _boxes(scene: Scene, depth: np.ndarray, side: np.ndarray, horizon: float) -> np.ndarray:
    """Return the columns and rows outside of which a sphere (T M) is surely not seen, (T M 4) int32."""
    camera, radius = scene.camera, scene.sphere_radius
    size, focal = camera.size, camera.focal
    tangent = depth > radius * 1.01  # else the camera is over it, or past it
    square = np.where(tangent, depth**2 - radius**2, 1.0)
    half = radius * np.sqrt(np.maximum(square + side**2, 0.0))
    near = np.maximum(depth - radius, 1e-2)
    columns = [size / 2 + focal * (depth * side + sign * half) / square for sign in (-1, 1)]
    highest = camera.height - radius
    top = horizon + focal * highest / (depth + radius if highest > 0 else near)
    bottom = horizon + focal * camera.height / near
    first = np.where(tangent, columns[0] - 1, 0)
    stop = np.where(tangent, columns[1] + 2, np.where(depth > -radius, size, 0))
    rows = np.where(tangent, top - 1, 0), np.where(tangent, bottom + 2, size)
    return np.clip(np.stack([first, stop, *rows], 2), 0, size).astype(np.int32)
