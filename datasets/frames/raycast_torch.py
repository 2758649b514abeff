"""The ray caster in torch: any number of frames at once, on any device.

The same picture, to the bit, as `raycast_numba`; what both share is in `raycast`. Every rounding happens there as well,
in the same type: a change here is a change there.

Axes: E scenes, T steps, H rows and W columns of the grid, S pixels across (rows, then columns), R rows of pixels,
M spheres, P columns that may show a sphere.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from .raycast import FIXED, FULL, NEAREST, Steps, Table, border_width, steps, table
from .scene import Scene, View
from .textures import TEXELS

BATCH = {"cpu": 64, "cuda": 2048}  # frames drawn at once; on a CPU they should fit its cache
_LEVEL_BITS = TEXELS.bit_length() - 1  # a texture's level l has 2 ** (_LEVEL_BITS - l) texels, both ways


class _Columns(NamedTuple):
    """What the rays of T frames meet, all (T S)."""

    ahead: Tensor  # float64, metres to the wall
    texel: Tensor  # int32, where the column's texels begin
    bits: Tensor  # int32: the texture has 2 ** bits rows
    shade: Tensor  # int32
    row_start: Tensor  # int32, with FIXED bits after the point: the texture's row at the picture's row 0 ...
    row_rate: Tensor  # int32, ... and how many of them a row goes on
    first: Tensor  # int32, the wall's first row
    stop: Tensor  # int32, the floor's first row
    ray: Tensor  # (T S 2) float32, cells


def render(views: Sequence[View], device: torch.device | str = "cpu", out: Tensor | None = None) -> Tensor:
    """Draw what the camera sees at every pose of views that are alike.

    Args:
        views: T poses in all.
        device: where to draw.
        out: (T S S 3) uint8 on `device`, where to put the frames.

    Returns:
        (T S S 3) uint8 on `device`.
    """
    device, size = torch.device(device), views[0].scene.camera.size
    fixed = table([view.scene for view in views])
    moving = steps(views, fixed)
    frames = len(moving.scene)
    out = torch.empty((frames, size, size, 3), dtype=torch.uint8, device=device) if out is None else out
    caster = _Caster(views[0].scene, fixed, device)
    batch = BATCH.get(device.type, BATCH["cuda"])
    for first in range(0, frames, batch):
        at = slice(first, first + batch)
        out[at] = caster(Steps(*(values[at] for values in moving)))
    return out


class _Caster:
    """Draws frames of scenes that are alike, `scene` being one of them."""

    def __init__(self, scene: Scene, fixed: Table, device: torch.device) -> None:
        self.scene, self.fixed, self.device = scene, fixed, device
        self.size = scene.camera.size
        self.walls, self.texels, self.colors = self._put(fixed.walls), self._put(fixed.texels), self._put(fixed.colors)
        self.wall_base, self.floor_base = self._put(fixed.wall_base), self._put(fixed.floor_base)
        self.across, self.slope = self._put(fixed.across), self._put(fixed.slope)
        self.reach, self.floor_level = self._put(fixed.reach), self._put(fixed.floor_level)
        self.wall_ends = self._put(fixed.wall_ends)
        pitch = scene.camera.pitch
        light = [math.cos(pitch), math.sin(pitch), scene.ambient, scene.diffuse]
        self.light = self._put(np.array([scene.camera.height, scene.sphere_radius, *light], np.float32))
        self.rows = torch.arange(self.size, dtype=torch.int32, device=device)[:, None]  # (S 1)
        sky = len(fixed.texels) - self.size**2
        self.sky = torch.arange(sky, len(fixed.texels), dtype=torch.int32, device=device).view(self.size, self.size)

    def __call__(self, moving: Steps) -> Tensor:
        """Draw T frames, (T S S 3) uint8."""
        scene, position, ahead = self._put(moving.scene), self._put(moving.position), self._put(moving.ahead)
        columns = self._cast(scene, position, ahead, self._put(moving.wall_shade))
        texel, shade = self._walls(columns)  # (T S S)
        self._floor(texel, shade, columns, scene, position)
        picture = self.texels[texel]
        self._spheres(picture, shade, columns, scene, moving)
        if len(moving.border):
            self._border(picture, shade, self._put(moving.border))
        return _lit(picture, shade)

    def _put(self, values: np.ndarray) -> Tensor:
        return torch.from_numpy(np.ascontiguousarray(values)).to(self.device, non_blocking=True)

    def _cast(self, scene: Tensor, position: Tensor, ahead: Tensor, shades: Tensor) -> _Columns:
        """Meet the walls. All lines of the grid are tried at once: no step waits for the one before.

        Args:
            scene: (T) int64, which.
            position: (T 2) float64, cells.
            ahead: (T 2) float64, unit vectors.
            shades: (T 2) int32.
        """
        c, s = ahead[:, :1], ahead[:, 1:]
        dx, dy = c + s * self.across, s - c * self.across  # (T S)
        x, y = position[:, :1].expand_as(dx), position[:, 1:].expand_as(dy)
        to_x, row_x, column_x = _first_line(self.walls, scene, x, dx, y, dy)
        to_y, column_y, row_y = _first_line(self.walls.mT, scene, y, dy, x, dx)
        across_y = to_x >= to_y
        hit = torch.where(across_y, to_y, to_x)
        row, column = torch.where(across_y, row_y, row_x), torch.where(across_y, column_y, column_x)

        metres = (hit * self.scene.cell).clamp_min(NEAREST)
        level = (metres[..., None] > self.wall_ends).sum(-1, dtype=torch.int32)
        bits = _LEVEL_BITS - level
        n = 1 << bits
        place = torch.where(across_y, x + hit * dx, y + hit * dy)
        texel = ((place - place.floor()) * n).int()
        texel = torch.where(torch.where(across_y, dy < 0, dx > 0), n - 1 - texel, texel)
        base = self.wall_base[scene[:, None], row, column, level]

        camera, horizon, tall = self.scene.camera, self.fixed.horizon, self.scene.wall_height
        top = horizon - camera.focal * (tall - camera.height) / metres
        bottom = horizon + camera.focal * camera.height / metres
        rate = metres / (camera.focal * tall) * n
        return _Columns(
            ahead=metres,
            texel=base + texel,
            bits=bits,
            shade=torch.where(across_y, shades[:, 1:], shades[:, :1]),
            row_start=((0.5 - top) * rate * (1 << FIXED)).int(),
            row_rate=(rate * (1 << FIXED)).int(),
            first=(top - 0.5).ceil().clamp(0, self.size).int(),
            stop=(bottom - 0.5).ceil().clamp(0, self.size).int(),
            ray=torch.stack([dx, dy], -1).float(),
        )

    def _walls(self, columns: _Columns) -> tuple[Tensor, Tensor]:
        """Return every pixel's texel and shade, int32 (T S S), as if there were no floor."""
        start, rate = columns.row_start[:, None], columns.row_rate[:, None]  # (T 1 S)
        down = ((start + self.rows * rate) >> FIXED).clamp_min(0).minimum((1 << columns.bits[:, None]) - 1)
        is_sky = self.rows < columns.first[:, None]
        texel = torch.where(is_sky, self.sky, columns.texel[:, None] + (down << columns.bits[:, None]))
        return texel, torch.where(is_sky, FULL, columns.shade[:, None])

    def _floor(self, texel: Tensor, shade: Tensor, columns: _Columns, scene: Tensor, position: Tensor) -> None:
        """Put the floor's texels where the floor is."""
        first = self.fixed.first_floor_row
        reach, level = self.reach[first:, None], self.floor_level[first:, None]  # (R 1)
        x, y = position.float().T[:, :, None, None]  # (T 1 1) each
        right = ((x + reach * columns.ray[:, None, :, 0]) * TEXELS).int()  # (T R S)
        up = ((y + reach * columns.ray[:, None, :, 1]) * TEXELS).int()
        i, j = (~up & (TEXELS - 1)) >> level, (right & (TEXELS - 1)) >> level
        _, height, width, levels = self.floor_base.shape
        row = (up >> _LEVEL_BITS).clamp(0, height - 1)  # behind a wall the ray may have left the grid
        cell = row * width + (right >> _LEVEL_BITS).clamp(0, width - 1)
        world = (scene * height * width).int()[:, None, None]
        base = self.floor_base.view(-1)[(world + cell) * levels + level]
        is_floor = self.rows[first:] >= columns.stop[:, None]
        texel[:, first:] = torch.where(is_floor, base + (i << (_LEVEL_BITS - level)) + j, texel[:, first:])
        shade[:, first:].masked_fill_(is_floor, self.fixed.floor_shade)

    def _spheres(self, picture: Tensor, shade: Tensor, columns: _Columns, scene: Tensor, moving: Steps) -> None:
        """Draw the spheres into packed pixels and shades, both (T S S)."""
        wall = columns.ahead.float()
        depth: Tensor | None = None  # (T S S)
        column = torch.arange(self.size, device=self.device)
        boxes, spheres = self._put(moving.boxes), self._put(moving.spheres)
        radius = float(np.float32(self.scene.sphere_radius))
        for m in range(boxes.shape[1]):
            if not (moving.boxes[:, m, 1] > moving.boxes[:, m, 0]).any():
                continue
            ahead = spheres[:, m, :1]
            seen = (column >= boxes[:, m, :1]) & (column < boxes[:, m, 1:2]) & (ahead - radius < columns.ahead)
            t, q = seen.nonzero(as_tuple=True)  # (P)
            top, bottom = int(moving.boxes[:, m, 2].min()), int(moving.boxes[:, m, 3].max())
            if depth is None:
                depth = wall[:, None].expand(picture.shape).clone()
            at, light = self._sphere(self.across[q].float(), self.slope[top:bottom], spheres[t, m])  # (P R)
            nearer = at < depth[t, top:bottom, q]
            depth[t, top:bottom, q] = torch.where(nearer, at, depth[t, top:bottom, q])
            picture[t, top:bottom, q] = torch.where(nearer, self.colors[scene[t], m, None], picture[t, top:bottom, q])
            shade[t, top:bottom, q] = torch.where(nearer, light, shade[t, top:bottom, q])

    def _sphere(self, u: Tensor, v: Tensor, sphere: Tensor) -> tuple[Tensor, Tensor]:
        """Return how far ahead the rays (1, u, v) meet spheres above the floor, infinity for not; and their shades.

        Args:
            u: (P) float32.
            v: (R) float32.
            sphere: (P 3), as in `Steps`.
        """
        height, radius, cos, sin, ambient, diffuse = self.light
        ahead, side, power = sphere.T[..., None]  # (P 1) each
        u = u[:, None]
        square = 1 + u * u + v * v
        toward = ahead + side * u - height * v
        under = toward * toward - square * power
        depth = (toward - under.clamp_min(0).sqrt()) / square
        up = height + depth * v
        met = (under > 0) & (toward > 0) & (depth > 0) & (up >= 0)
        cosine = -((depth - ahead) / radius * cos + up / radius * sin)
        shade = ambient + diffuse * cosine.clamp_min(0)
        return torch.where(met, depth, torch.inf), (shade * FULL + 0.5).int().clamp_max(FULL)

    def _border(self, picture: Tensor, shade: Tensor, colors: Tensor) -> None:
        """Paint the outermost pixels, in one colour a frame: `colors` (T), packed."""
        line = torch.arange(self.size, device=self.device)
        edge = line.minimum(self.size - 1 - line) < border_width(self.size)
        outer = edge[:, None] | edge  # (S S)
        picture[:, outer] = colors[:, None]
        shade[:, outer] = FULL


class _Line(NamedTuple):
    """Where rays go through a line of the grid into a wall, all (T S)."""

    distance: Tensor  # float64, in lengths of the ray; infinity for nowhere
    row: Tensor  # int64, of the wall's cell
    column: Tensor  # int64


def _first_line(walls: Tensor, scene: Tensor, x: Tensor, dx: Tensor, y: Tensor, dy: Tensor) -> _Line:
    """Find where rays first go through a line x = 1, 2, ... of the grid into a wall.

    Args:
        walls: (E H W) bool, indexed [scene, floor(y), floor(x)].
        scene: (T) int64.
        x: (T S), and `dx`, `y`, `dy` alike.
    """
    _, height, width = walls.shape
    dx = torch.where(dx.abs() > 1e-12, dx, 1e-12)
    line = torch.arange(1, width, dtype=x.dtype, device=x.device)  # (W - 1)
    reached = (line - x[..., None]) * (1.0 / dx)[..., None]  # (T S W-1)
    row = (y[..., None] + reached * dy[..., None]).floor()
    inside = (reached > 0) & (row >= 0) & (row < height)
    row = row.clamp(0, height - 1).long()
    column = line.long() - (dx < 0)[..., None].long()
    solid = walls[scene[:, None, None], row, column]
    distance, which = torch.where(inside & solid, reached, torch.inf).min(-1, keepdim=True)
    return _Line(distance[..., 0], row.gather(-1, which)[..., 0], column.gather(-1, which)[..., 0])


def _lit(packed: Tensor, shade: Tensor) -> Tensor:
    """Return packed colours (...) in a light of shade / FULL as (... 3) uint8."""
    red_blue = (((packed & 0xFF00FF) * shade + 0x800080) >> 8) & 0xFF00FF
    green = (((packed & 0x00FF00) * shade + 0x008000) >> 8) & 0x00FF00
    return (red_blue | green).view(torch.uint8).view(*packed.shape, 4)[..., :3]
