"""Drawing mazes: the package's, seed by seed; and mazes that can be walked through for every seed."""

import importlib
import math
import zlib
from itertools import pairwise

import numpy as np
import pytest

from longdream.collectors.envs import memory_maze_draw
from longdream.collectors.envs.memory_maze_draw import RULES, draw
from longdream.collectors.policies.memory_maze import Cell, ways_to
from longdream.datasets.frames.scene import WALLS

LARGE = 2**40 + 3  # a seed that the package refuses
# Digests of memory_maze 1.0.3's own mazes by (cells, seed), for machines without it; `test_memory_maze_stock.py`
# compares with the package itself.
DIGESTS = {
    (9, 0): 2729359443,
    (9, 1): 1595264913,
    (9, LARGE): 1429826001,
    (11, 0): 184913074,
    (11, 1): 417541034,
    (11, LARGE): 1681224553,
    (13, 0): 2826564762,
    (13, 1): 521020120,
    (13, LARGE): 2551415842,
    (15, 0): 2375915701,
    (15, 1): 2206320119,
    (15, LARGE): 321518467,
}

everywhere = pytest.mark.parametrize("cells", list(RULES))


def digest(maze):
    """Return a number that tells mazes apart; positions are multiples of half a cell, headings count to 1e-6."""
    places = [np.rint(2 * np.array(place)).astype(int) for place in (maze.objects, maze.start[:2])]
    heading = round(maze.start.heading % (2 * math.pi), 6)
    facts = [maze.free, maze.wall_texture, maze.floor_texture, places[0], maze.target, places[1], heading]
    return zlib.crc32(repr([np.asarray(fact).tolist() for fact in facts]).encode())


@pytest.mark.parametrize(("cells", "seed"), list(DIGESTS))
def test_they_are_the_packages_mazes(cells, seed):
    assert digest(draw(cells, seed)) == DIGESTS[cells, seed]


@everywhere
def test_everything_is_on_free_cells_and_can_be_reached(cells):
    for seed in range(50):
        maze = draw(cells, seed)
        assert maze.free.shape == (cells, cells)
        spots = [maze.start[:2], *maze.objects.tolist()]
        assert all(maze.free[int(y), int(x)] for x, y in spots)
        assert len({(int(x), int(y)) for x, y in spots}) == 1 + RULES[cells].objects
        free = {Cell(x, y) for y, x in np.argwhere(maze.free).tolist()}
        assert ways_to(min(free), free, 0).keys() == free


@everywhere
def test_walls_change_their_texture_from_block_to_block(cells):
    for seed in range(20):
        maze = draw(cells, seed)
        walls = np.pad(maze.free[::-1] == 0, 1, constant_values=True)
        assert not maze.wall_texture[~walls].any()
        edges = [i * (cells + 2) // 3 for i in range(4)]
        for top, bottom in pairwise(edges):
            for left, right in pairwise(edges):
                found = maze.wall_texture[top:bottom, left:right][walls[top:bottom, left:right]]
                assert len(set(found.tolist())) <= 1


def test_textures_targets_headings_and_starts_are_drawn_evenly():
    mazes = [draw(9, seed) for seed in range(600)]
    corner = np.bincount([maze.wall_texture[0, 0] for maze in mazes], minlength=len(WALLS))
    target = np.bincount([maze.target for maze in mazes], minlength=3)
    quarter = np.bincount([int(maze.start.heading / (math.pi / 2)) % 4 for maze in mazes], minlength=4)
    for counts in (corner, target, quarter):
        expected = 600 / len(counts)
        assert np.abs(counts - expected).max() < 5 * math.sqrt(expected)


def test_the_floor_of_rooms_is_brighter():
    maze = draw(9, 0)
    inner = maze.floor_texture[1:-1, 1:-1][::-1]
    assert {0, 1} == set(inner[maze.free == 1].tolist())
    for x, y in maze.objects.tolist():
        assert inner[int(y), int(x)] == 1  # objects lie in rooms


def test_other_sizes_are_refused():
    with pytest.raises(ValueError, match="cells 10: Memory Maze comes in 9, 11, 13, 15 cells across"):
        draw(10, 0)


def test_without_labmaze_one_line_says_what_to_do(monkeypatch):
    def missing(name):
        raise ImportError(f"No module named {name!r}")

    monkeypatch.setattr(importlib, "import_module", missing)
    with pytest.raises(ValueError, match="pip install 'memory-maze") as caught:
        memory_maze_draw.draw(9, 0)
    assert "\n" not in str(caught.value)
