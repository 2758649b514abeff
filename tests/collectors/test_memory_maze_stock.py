"""Memory Maze itself, by the package: our changes change nothing, and what we compute without it is what it has.

All but the last two tests need MuJoCo and OpenGL.
"""

import math
import warnings

import numpy as np
import pytest

from longdream.collectors.catalogue import ENVIRONMENTS
from longdream.collectors.cli import main
from longdream.collectors.envs import memory_maze, memory_maze_stock
from longdream.collectors.envs.memory_maze import MemoryMaze, MemoryMazeOptions
from longdream.collectors.envs.memory_maze_draw import draw
from longdream.collectors.envs.memory_maze_sides import facts, follow
from longdream.collectors.envs.memory_maze_world import MazeWorld, place
from longdream.collectors.policies.errand import steer
from longdream.collectors.policies.memory_maze import Cell, wander, ways_to
from longdream.collectors.rollout import rollout
from longdream.datasets.episode import EpisodeSpec
from longdream.tests.collectors.episodes import differences
from longdream.tests.collectors.stock_mazes import stock  # noqa: F401 (a fixture)

OBJECT_IN_THE_MIDDLE = 53  # a seed, 9x9: the package takes that object as touched at first


def toward_target(world, steps):
    """Yield actions that lead to the objects that are asked for."""
    free = {Cell(x, y) for y, x in np.argwhere(world.maze.free).tolist()}
    for _ in range(steps):
        x, y, heading = place(world.now.walker)
        goal_x, goal_y = world.maze.objects[world.now.target].tolist()
        onward = ways_to(Cell(int(goal_x), int(goal_y)), free, 0)[Cell(int(x), int(y))]
        yield steer(heading, onward.x + 0.5 - x, onward.y + 0.5 - y)


def test_our_changes_change_no_frame_and_no_reward(stock):  # noqa: F811
    ours, theirs = stock(9, OBJECT_IN_THE_MIDDLE), stock(9, OBJECT_IN_THE_MIDDLE, 64, False)
    collected = 0.0
    assert np.array_equal(ours.frame, theirs.frame)
    for action in toward_target(ours, 20):
        now, other = ours.step(action), theirs.step(action)
        assert now == other
        assert np.array_equal(ours.frame, theirs.frame)
        collected += now.reward
    assert collected > 0, "the comparison has to see a reward"


@pytest.mark.parametrize(("cells", "seed"), [(9, 4), (9, 13), (11, 5), (13, 6), (15, 7), (15, 2**50)])
def test_the_maze_is_the_one_that_is_drawn_without_it(stock, cells, seed):  # noqa: F811
    package, drawn = stock(cells, seed).maze, draw(cells, seed)
    for name in ("free", "wall_texture", "floor_texture", "objects"):
        assert np.array_equal(getattr(package, name), getattr(drawn, name)), name
    assert package.target == drawn.target
    assert package.start[:2] == drawn.start[:2]
    assert math.cos(package.start.heading - drawn.start.heading) == pytest.approx(1, abs=1e-14)
    assert package.rng.randint(2**31) == drawn.rng.randint(2**31), "the next targets would differ"


def test_side_arrays_are_the_packages_own(stock):  # noqa: F811
    maze = stock(9, 5)
    for action in wander(maze, 20, np.random.default_rng(0)):
        sides = follow(maze.maze, [maze.now])
        for name in sides:
            assert np.allclose(sides[name][0], maze.observation[name], atol=1e-6), name
        maze.step(action)


def test_the_ray_caster_draws_nearly_the_same_picture(stock):  # noqa: F811
    """Same maze, same poses: median difference of at most 3 grey levels."""
    maze, shown, moments = stock(9, 5), [], []
    for action in wander(maze, 40, np.random.default_rng(0)):
        moments.append(maze.step(action))
        shown.append(maze.frame)
    sides = follow(maze.maze, moments) | facts(maze.maze)
    difference = np.abs(memory_maze.pictures(MemoryMazeOptions(), sides).astype(int) - np.stack(shown))
    assert np.median(difference) <= 3
    assert difference.mean() <= 6


def test_the_walker_without_physics_goes_nearly_the_same_way(stock):  # noqa: F811
    off = []
    for seed in range(3):
        maze, world = stock(9, seed), MazeWorld(9, seed)
        for action in wander(maze, 40, np.random.default_rng(seed)):
            maze.step(action)
            world.step(action)
        off.append(math.dist(maze.now.walker[:2], world.now.walker[:2]))
    assert np.median(off) < 0.1  # cells, after 40 steps; measured: 0.06


@pytest.mark.usefixtures("stock")
def test_the_fast_path_gives_the_same_bytes(monkeypatch):
    monkeypatch.setattr(memory_maze, "OFFLINE", EpisodeSpec(12, 13))
    environment, options = ENVIRONMENTS["memory_maze_9x9"], MemoryMazeOptions(renderer="mujoco")
    stepped = rollout(environment, options, 8)
    assert differences(stepped, environment.fast(options, 8)) == []
    assert stepped.obs.std() > 0


@pytest.mark.usefixtures("stock")
def test_the_gymnasium_class_resets_to_the_packages_maze_of_a_seed():
    env = MemoryMaze(9, renderer="mujoco", render_mode="rgb_array")
    first, info = env.reset(seed=11)
    maze = draw(9, 11)
    assert np.array_equal(info["maze_layout"], maze.free)
    env.step(1)
    again, _ = env.reset(seed=11)
    assert np.array_equal(first, again)
    assert env.render().shape == (11 * 16, 11 * 16, 3)
    env.close()


@pytest.mark.usefixtures("stock")
def test_nothing_global_is_changed(stock):  # noqa: F811
    before = list(warnings.filters)
    maze = stock(9, 0)
    from dm_control.locomotion.arenas.labmaze_textures import WallTextures
    from dm_control.locomotion.props.target_sphere import TargetSphere

    assert warnings.filters == before
    assert TargetSphere._update_activation.__module__ == TargetSphere.__module__
    assert memory_maze_stock.package().labmaze_textures.WallTextures is WallTextures
    assert maze.maze.size == 9


def test_without_the_package_one_line_says_what_to_do(monkeypatch, tmp_path, capsys):
    def missing():
        raise ImportError("there is no memory_maze")

    monkeypatch.setattr(memory_maze_stock, "_tasks", missing)
    memory_maze_stock.package.cache_clear()
    with pytest.raises(SystemExit) as caught:
        main(["--env", "memory_maze_9x9", "--renderer", "mujoco", "--n", "1", "--out", str(tmp_path / "mm")])
    said = capsys.readouterr().err.strip()
    assert caught.value.code == 2
    assert "\n" not in said
    assert "libegl1" in said
    assert "memory-maze" in said


def test_without_opengl_one_line_says_what_to_do(monkeypatch):
    def no_display():
        raise AttributeError("'NoneType' object has no attribute 'eglQueryString'")

    monkeypatch.setattr(memory_maze_stock, "_tasks", no_display)
    memory_maze_stock.package.cache_clear()
    with pytest.raises(ValueError, match="libegl1 and libgl1"):
        MemoryMaze(9, renderer="mujoco")
