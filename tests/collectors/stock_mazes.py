"""What tests share that compare with the package memory_maze itself."""

import functools

import pytest

from longdream.collectors.envs.memory_maze_stock import StockMaze


@functools.lru_cache
def why_not():
    """Return why the package cannot be used on this machine; "" if it can."""
    try:
        StockMaze(9, 0).close()
    except ValueError as error:
        return str(error)
    return ""


@pytest.fixture
def stock():
    """Make mazes of the package, and close them; skip where MuJoCo or OpenGL is missing."""
    if why_not():
        pytest.skip(why_not())
    made = []

    def make(*arguments):
        made.append(StockMaze(*arguments))
        return made[-1]

    yield make
    for maze in made:
        maze.close()
