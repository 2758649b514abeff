"""The tile renderer against MiniGrid drawing the same world cell by cell."""

import numpy as np
import pytest
from minigrid.core.constants import COLORS
from minigrid.core.grid import Grid
from minigrid.core.world_object import Floor

from longdream.datasets.frames.tiles import (
    EMPTY,
    FRAME,
    IDS,
    KEY,
    LOCKED,
    OPEN,
    PALETTE,
    SQUARE,
    TILE,
    VIEW,
    WALL,
    Change,
    Walk,
    render_walk,
    tile_object,
    tile_table,
)


def draw_by_minigrid(ids, x, y, heading):
    """Return one frame, drawn by MiniGrid from fresh objects."""
    grid = Grid(ids.shape[1], ids.shape[0])
    for row, column in np.ndindex(ids.shape):
        grid.set(column, row, tile_object(int(ids[row, column])))
    window = grid.slice(x - 2, y - 2, VIEW, VIEW)
    return window.render(TILE, agent_pos=(2, 2), agent_dir=heading)


def random_walk(rng, shape, steps):
    """Return poses that jump about anywhere on a map, its edge and corners included."""
    x, y = rng.integers(shape[1], size=steps), rng.integers(shape[0], size=steps)
    x[:4], y[:4] = [0, shape[1] - 1, 0, shape[1] - 1], [0, 0, shape[0] - 1, shape[0] - 1]
    return Walk(x, y, rng.integers(4, size=steps))


@pytest.mark.parametrize("shape", [(5, 7), (9, 14), (3, 3)])
def test_frames_are_minigrids(shape):
    rng = np.random.default_rng(0)
    ids = rng.integers(IDS, size=shape).astype(np.uint8)
    walk = random_walk(rng, shape, 12)
    frames = render_walk(ids, walk)
    assert frames.shape == (12, *FRAME)
    assert frames.dtype == np.uint8
    for t in range(12):
        assert np.array_equal(frames[t], draw_by_minigrid(ids, walk.x[t], walk.y[t], int(walk.heading[t])))


def test_changes_hold_from_their_step_on():
    """Also at step 0, twice in one step, twice in one cell, and under the agent."""
    rng = np.random.default_rng(1)
    ids = rng.integers(IDS, size=(6, 6)).astype(np.uint8)
    walk = random_walk(rng, ids.shape, 30)
    under = (int(walk.y[20]), int(walk.x[20]))
    changes = [
        Change(0, 2, 2, KEY),
        Change(7, 3, 3, OPEN + 1),
        Change(7, 3, 4, LOCKED + 2),
        Change(15, 3, 3, WALL),
        Change(20, *under, SQUARE + 3),
        Change(29, 0, 0, EMPTY),
    ]
    frames = render_walk(ids, walk, changes)
    for t in range(30):
        now = ids.copy()
        for change in changes:
            if change.t <= t:
                now[change.y, change.x] = change.tile
        assert np.array_equal(frames[t], draw_by_minigrid(now, walk.x[t], walk.y[t], int(walk.heading[t]))), t


def test_the_given_map_is_left_alone():
    ids = np.zeros((5, 5), np.uint8)
    render_walk(ids, Walk(np.array([2]), np.array([2]), np.array([0])), [Change(0, 1, 1, WALL)])
    assert not ids.any()


def test_squares_are_bright_even_after_minigrid_drew_a_floor():
    """MiniGrid keeps drawn tiles by code: with Floor's code, a Square would come out dim."""
    for color in PALETTE:
        dim = Grid.render_tile(Floor(color), tile_size=TILE)
        bright = Grid.render_tile(tile_object(SQUARE + PALETTE.index(color)), tile_size=TILE)
        assert np.array_equal(bright[4, 4], COLORS[color])
        assert not np.array_equal(dim[4, 4], bright[4, 4])


def test_no_two_tiles_look_alike():
    tiles = tile_table()
    assert tiles.shape == (5, IDS, TILE, TILE, 3)
    assert len({tile.tobytes() for tile in tiles.reshape(-1, TILE, TILE, 3)}) == 5 * IDS
