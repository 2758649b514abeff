"""The ray caster, compiled by numba: one core draws a frame of 64 x 64 in about 20 microseconds.

The same picture, to the bit, as `raycast_torch`; what both share is in `raycast`. Nothing here may be rounded
otherwise than there: no fastmath (it would fuse multiplications with additions), float32 where it says so.
numba's cache notices a change of this file alone: who changes a constant of `raycast` or `textures` clears __pycache__.

Axes: T steps, S pixels across, M spheres.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numba
import numpy as np

from .raycast import FIXED, FULL, NEAREST, Steps, Table, border_width, steps, table
from .scene import Scene, View
from .textures import TEXELS

_LEVEL_BITS = TEXELS.bit_length() - 1  # a texture's level l has 2 ** (_LEVEL_BITS - l) texels, both ways


def render(views: Sequence[View], out: np.ndarray | None = None) -> np.ndarray:
    """Draw what the camera sees at every pose of views that are alike.

    Args:
        views: T poses in all.
        out: (T S S 3) uint8, where to put the frames.

    Returns:
        (T S S 3) uint8.
    """
    scene = views[0].scene
    fixed = table([view.scene for view in views])
    moving = steps(views, fixed)
    size = scene.camera.size
    out = np.empty((len(moving.scene), size, size, 3), np.uint8) if out is None else out
    lens = np.array([scene.camera.focal, fixed.horizon, scene.camera.height, scene.wall_height, scene.cell])
    _draw(out, fixed, moving, lens, _light(scene), border_width(size))
    return out


def _light(scene: Scene) -> np.ndarray:
    """Return (6) float32: camera height, sphere radius, cos and sin of the pitch, ambient and diffuse light."""
    pitch = scene.camera.pitch
    values = [scene.camera.height, scene.sphere_radius, math.cos(pitch), math.sin(pitch), scene.ambient, scene.diffuse]
    return np.array(values, np.float32)


def _compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compile a function when it is first called, and keep the result on disk where there is a place for it."""
    try:
        return numba.njit(cache=True, nogil=True, error_model="numpy")(function)
    except RuntimeError:  # neither the folder of this file nor the user's cache can be written
        return numba.njit(nogil=True, error_model="numpy")(function)


@_compiled
def _draw(out: np.ndarray, fixed: Table, moving: Steps, lens: np.ndarray, light: np.ndarray, border: int) -> None:
    """Draw all frames into `out` (T S S 3)."""
    size = out.shape[1]
    wall, floor = np.empty(size, np.float64), np.empty(size, np.int64)  # of every column: its distance, its first row
    ray = np.empty((size, 2), np.float32)
    depth, drawn = np.empty((size, size), np.float32), np.full(size, -1)
    for t in range(len(out)):
        _draw_walls(out[t], wall, floor, ray, fixed, moving, lens, t)
        _draw_floor(out[t], floor, ray, fixed, moving, t)
        _draw_spheres(out[t], wall, depth, drawn, fixed, moving, light, t)
        if moving.border.size:
            _draw_border(out[t], moving.border[t], border)


@_compiled
def _draw_walls(
    frame: np.ndarray,
    wall: np.ndarray,
    floor: np.ndarray,
    ray: np.ndarray,
    fixed: Table,
    moving: Steps,
    lens: np.ndarray,
    t: int,
) -> None:
    """Draw what is above the floor, and note every column's wall (metres), first row of floor, and ray (cells)."""
    focal, horizon, height, wall_height, cell = lens[0], lens[1], lens[2], lens[3], lens[4]
    x, y, c, s = moving.position[t, 0], moving.position[t, 1], moving.ahead[t, 0], moving.ahead[t, 1]
    walls, bases = fixed.walls[moving.scene[t]], fixed.wall_base[moving.scene[t]]
    texels, ends, across = fixed.texels, fixed.wall_ends, fixed.across
    size = frame.shape[0]
    sky = texels.size - size * size
    for column in range(size):
        dx, dy = c + s * across[column], s - c * across[column]
        hit, across_y, i, j = _cast(walls, x, y, dx, dy)
        ahead = max(hit * cell, NEAREST)
        level = 0
        while level < ends.size and ahead > ends[level]:
            level += 1
        bits = _LEVEL_BITS - level
        n = 1 << bits
        place = x + hit * dx if across_y else y + hit * dy
        texel = int((place - math.floor(place)) * n)
        if (dy < 0) if across_y else (dx > 0):  # seen from the front, a picture goes from left to right
            texel = n - 1 - texel
        base = bases[i, j, level] + texel
        shade = moving.wall_shade[t, 1 if across_y else 0]

        top = horizon - focal * (wall_height - height) / ahead
        first = min(max(math.ceil(top - 0.5), 0), size)
        stop = min(max(math.ceil(horizon + focal * height / ahead - 0.5), 0), size)
        rate = ahead / (focal * wall_height) * n  # texels a row
        row_rate, row_start = int(rate * (1 << FIXED)), int((0.5 - top) * rate * (1 << FIXED))
        for row in range(first):
            _put(frame, row, column, texels[sky + row * size + column], FULL)
        for row in range(first, stop):
            down = min(max((row_start + row * row_rate) >> FIXED, 0), n - 1)
            _put(frame, row, column, texels[base + (down << bits)], shade)
        wall[column], floor[column] = ahead, stop
        ray[column, 0], ray[column, 1] = dx, dy


@_compiled
def _draw_floor(frame: np.ndarray, floor: np.ndarray, ray: np.ndarray, fixed: Table, moving: Steps, t: int) -> None:
    """Draw the floor, row by row, from each column's first row of it on."""
    x, y, side = np.float32(moving.position[t, 0]), np.float32(moving.position[t, 1]), np.float32(TEXELS)
    bases, texels, shade = fixed.floor_base[moving.scene[t]], fixed.texels, fixed.floor_shade
    size = frame.shape[0]
    for row in range(floor.min(), size):
        reach, level = fixed.reach[row], fixed.floor_level[row]
        bits = _LEVEL_BITS - level
        for column in range(size):
            if row < floor[column]:
                continue
            right, up = int((x + reach * ray[column, 0]) * side), int((y + reach * ray[column, 1]) * side)
            i, j = (~up & (TEXELS - 1)) >> level, (right & (TEXELS - 1)) >> level  # a picture's rows go down
            base = bases[up >> _LEVEL_BITS, right >> _LEVEL_BITS, level]
            _put(frame, row, column, texels[base + (i << bits) + j], shade)


@_compiled
def _cast(walls: np.ndarray, x: float, y: float, dx: float, dy: float) -> tuple[float, bool, int, int]:
    """Follow a ray from cell to cell to the first wall.

    Returns:
        The distance in units of (dx, dy), whether the wall lies across y, and its cell (row, column).
    """
    dx = dx if abs(dx) > 1e-12 else 1e-12
    dy = dy if abs(dy) > 1e-12 else 1e-12
    across, along = 1.0 / dx, 1.0 / dy
    j, i = math.floor(x), math.floor(y)
    step_j, step_i = (1, 1) if dx > 0 else (-1, 0), (1, 1) if dy > 0 else (-1, 0)
    to_x, to_y = (j + step_j[1] - x) * across, (i + step_i[1] - y) * along
    while True:
        if to_x < to_y:
            hit, j = to_x, j + step_j[0]
            if walls[i, j]:
                return hit, False, i, j
            to_x = (j + step_j[1] - x) * across
        else:
            hit, i = to_y, i + step_i[0]
            if walls[i, j]:
                return hit, True, i, j
            to_y = (i + step_i[1] - y) * along


@_compiled
def _draw_spheres(
    frame: np.ndarray,
    wall: np.ndarray,
    depth: np.ndarray,
    drawn: np.ndarray,
    fixed: Table,
    moving: Steps,
    light: np.ndarray,
    t: int,
) -> None:
    """Draw the spheres, the nearest in front.

    `depth` (S S), columns first, says how far away the pixels of a column are that `drawn` (S) says is of this frame.
    """
    radius = light[1]
    for m in range(moving.boxes.shape[1]):
        top, bottom = moving.boxes[t, m, 2], moving.boxes[t, m, 3]
        ahead, side, power = moving.spheres[t, m, 0], moving.spheres[t, m, 1], moving.spheres[t, m, 2]
        for column in range(moving.boxes[t, m, 0], moving.boxes[t, m, 1]):
            if ahead - radius >= wall[column]:
                continue
            if drawn[column] != t:
                drawn[column] = t
                depth[column] = np.float32(wall[column])
            u = np.float32(fixed.across[column])
            for row in range(top, bottom):
                at, shade = _sphere(u, fixed.slope[row], ahead, side, power, light)
                if at < depth[column, row]:
                    depth[column, row] = at
                    _put(frame, row, column, fixed.colors[moving.scene[t], m], shade)


@_compiled
def _sphere(u: float, v: float, ahead: float, side: float, power: float, light: np.ndarray) -> tuple[np.float32, int]:
    """Return how far ahead the ray (1, u, v) meets a sphere above the floor (infinity: it does not), and the shade."""
    height, radius = light[0], light[1]
    square = np.float32(1) + u * u + v * v
    toward = ahead + side * u - height * v
    under = toward * toward - square * power
    if under <= 0 or toward <= 0:
        return np.float32(np.inf), 0
    depth = (toward - np.float32(math.sqrt(under))) / square
    up = height + depth * v
    if depth <= 0 or up < 0:
        return np.float32(np.inf), 0
    cosine = -((depth - ahead) / radius * light[2] + up / radius * light[3])
    shade = light[4] + light[5] * max(cosine, np.float32(0))
    return depth, min(int(shade * np.float32(FULL) + np.float32(0.5)), FULL)


@_compiled
def _put(frame: np.ndarray, row: int, column: int, packed: int, shade: int) -> None:
    """Set a pixel to a packed colour in a light of shade / FULL."""
    red_blue = (packed & 0xFF00FF) * shade + 0x800080
    green = (packed & 0x00FF00) * shade + 0x008000
    frame[row, column, 0] = (red_blue >> 8) & 0xFF
    frame[row, column, 1] = (green >> 16) & 0xFF
    frame[row, column, 2] = (red_blue >> 24) & 0xFF


@_compiled
def _draw_border(frame: np.ndarray, packed: int, width: int) -> None:
    """Paint the outermost pixels."""
    size = frame.shape[0]
    for row in range(size):
        for column in range(size):
            if min(row, column, size - 1 - row, size - 1 - column) < width:
                _put(frame, row, column, packed, FULL)
