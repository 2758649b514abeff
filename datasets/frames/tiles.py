"""Draws whole walks through MiniGrid worlds at once: a map is ONE picture, and every frame is a window cut out of it.

A world is a grid of tile ids (below). MiniGrid itself draws each tile, once, so frames are bit-identical to MiniGrid's.
The view is agent-centred and not turned, VIEW x VIEW tiles of TILE pixels; what lies outside the map is wall.

Axes: T time, H rows and W columns of the map (row 0 is the top), P pixels across a frame.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from minigrid.core.constants import COLOR_TO_IDX, COLORS, OBJECT_TO_IDX
from minigrid.core.grid import Grid
from minigrid.core.world_object import Door, Floor, Key, Wall, WorldObj
from minigrid.utils.rendering import fill_coords, point_in_rect

PALETTE = ("green", "blue", "purple", "yellow")  # a colour is an index into this
VIEW, TILE = 5, 8
PIXELS = VIEW * TILE  # P
FRAME = (PIXELS, PIXELS, 3)
MARGIN = VIEW // 2

# Tile ids; the last four are families: id + colour.
EMPTY, WALL, SQUARE, LOCKED, OPEN, KEY = 0, 1, 2, 6, 10, 14
IDS = KEY + len(PALETTE)


class Change(NamedTuple):
    """From observation `t` on, the cell (y, x) shows `tile`."""

    t: int
    y: int
    x: int
    tile: int


class Walk(NamedTuple):
    """Where the agent is at every observation, and which way it faces."""

    x: np.ndarray  # (T) int, columns
    y: np.ndarray  # (T) int, rows, downward
    heading: np.ndarray  # (T) int, 0 right, 1 down, 2 left, 3 up


class Square(Floor):
    """A floor tile in full brightness (MiniGrid's own Floor is at half)."""

    def render(self, img: np.ndarray) -> None:
        """Fill the tile with the colour."""
        fill_coords(img, point_in_rect(0, 1, 0, 1), COLORS[self.color])

    def encode(self) -> tuple[int, int, int]:
        """Return a code of its own: MiniGrid keeps drawn tiles under it, and Floor's would give Floor's picture."""
        return OBJECT_TO_IDX["floor"], COLOR_TO_IDX[self.color], 1


def tile_object(tile: int) -> WorldObj | None:
    """Return a new MiniGrid object for a tile id; None is the empty cell."""
    if tile < SQUARE:
        return Wall() if tile == WALL else None
    family, color = divmod(tile - SQUARE, len(PALETTE))
    name = PALETTE[color]
    return (Square(name), Door(name, is_locked=True), Door(name, is_open=True), Key(name))[family]


@lru_cache
def tile_table() -> np.ndarray:
    """Return every tile's picture, (5 IDS TILE TILE 3) uint8; axis 0: no agent, then one of each heading."""
    objects = [tile_object(tile) for tile in range(IDS)]
    drawn = np.stack([[Grid.render_tile(o, h, tile_size=TILE) for o in objects] for h in (None, 0, 1, 2, 3)])
    table = drawn.astype(np.uint8)  # MiniGrid's are float64, cut off as it does when it puts them into a frame
    table.setflags(write=False)
    return table


def render_walk(ids: np.ndarray, walk: Walk, changes: Sequence[Change] = ()) -> np.ndarray:
    """Draw what the agent sees along a walk.

    Args:
        ids: (H W) uint8 tile ids at the start.
        walk: T poses, all inside the map.
        changes: of cells during the walk, ordered by time.

    Returns:
        (T P P 3) uint8.
    """
    table = tile_table()
    cells, picture = ids.copy(), _draw_map(ids)
    windows = _windows(picture, ids.shape)
    rows = np.empty((len(walk.x), PIXELS), windows.dtype)
    under = np.empty(len(walk.x), ids.dtype)  # the tile that the agent stands on

    def draw(start: int, stop: int) -> None:
        y, x = walk.y[start:stop], walk.x[start:stop]
        rows[start:stop], under[start:stop] = windows[y, x], cells[y, x]

    drawn = 0
    for t, y, x, tile in changes:
        draw(drawn, t)
        drawn, cells[y, x] = t, tile
        _cell(picture, y, x)[:] = table[0, tile]
    draw(drawn, len(rows))
    image = rows.view(np.uint8).reshape(-1, *FRAME)
    centre = slice(MARGIN * TILE, (MARGIN + 1) * TILE)
    image[:, centre, centre] = table[walk.heading + 1, under]
    return image


def _draw_map(ids: np.ndarray) -> np.ndarray:
    """Return the picture of a map with a margin of wall around it, ((H + 4) TILE, (W + 4) TILE, 3) uint8."""
    padded = np.full((ids.shape[0] + 2 * MARGIN, ids.shape[1] + 2 * MARGIN), WALL, ids.dtype)
    padded[MARGIN:-MARGIN, MARGIN:-MARGIN] = ids
    tiles = tile_table()[0][padded]  # (H + 4, W + 4, TILE, TILE, 3)
    return tiles.transpose(0, 2, 1, 3, 4).reshape(padded.shape[0] * TILE, padded.shape[1] * TILE, 3)


def _windows(picture: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """View a map's picture as all of its frames, (H W P) of pixel rows.

    A pixel row of a frame is one opaque item: numpy then copies it whole, four times faster than pixel by pixel.
    """
    row, pixel = picture.strides[:2]
    return np.ndarray((*shape, PIXELS), f"V{PIXELS * pixel}", picture, strides=(TILE * row, TILE * pixel, row))


def _cell(picture: np.ndarray, y: int, x: int) -> np.ndarray:
    """View the cell (y, x) of a map's picture, (TILE TILE 3)."""
    top, left = (y + MARGIN) * TILE, (x + MARGIN) * TILE
    return picture[top : top + TILE, left : left + TILE]
