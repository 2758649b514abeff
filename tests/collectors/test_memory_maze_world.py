"""Memory Maze without MuJoCo: what touching objects brings, the conventions of the side arrays, the gymnasium class."""

import dataclasses
import math

import gymnasium
import numpy as np
import pytest

from longdream.collectors.catalogue import ENVIRONMENTS
from longdream.collectors.collect import describe_dataset
from longdream.collectors.envs.memory_maze import MemoryMaze, MemoryMazeOptions, spec
from longdream.collectors.envs.memory_maze_draw import RULES, draw
from longdream.collectors.envs.memory_maze_sides import follow
from longdream.collectors.envs.memory_maze_world import TOUCH, MazeWorld, Moment
from longdream.collectors.envs.walker import Action, Walker
from longdream.collectors.rollout import episode_seed
from longdream.datasets.frames.scene import SPHERE_COLORS
from longdream.datasets.splits import Splits

CELLS = list(RULES)


def beside(world, number, gap):
    """Return a walker that stands `gap` cells to the left of an object and looks at it."""
    x, y = world.maze.objects[number] + 1
    return Walker(x - gap, y, 0.0)


def with_walker(world, walker, target=None):
    """Put the walker somewhere."""
    world.now = Moment(walker, world.now.target if target is None else target)
    return world


def test_touching_the_target_is_rewarded_and_another_one_is_asked_for():
    for seed in range(20):
        world = MazeWorld(9, seed)
        wanted = world.now.target
        now = with_walker(world, beside(world, wanted, TOUCH - 0.01)).step(Action.NOOP)
        assert now.reward == 1
        assert now.target != wanted
        assert world.step(Action.NOOP).reward == 0  # it is touched still, but no longer asked for


def test_touching_other_objects_is_nothing():
    for seed in range(20):
        world = MazeWorld(9, seed)
        for other in set(range(3)) - {world.now.target}:
            now = with_walker(world, beside(world, other, 0.1)).step(Action.NOOP)
            assert (now.reward, now.target) == (0, world.maze.target)


def test_coming_near_is_not_enough():
    world = MazeWorld(9, 0)
    assert with_walker(world, beside(world, world.now.target, TOUCH + 0.01)).step(Action.NOOP).reward == 0


def test_an_object_that_is_passed_within_one_step_is_touched():
    """The package looks 50 times a step."""
    world = MazeWorld(9, 0)
    x, y = world.maze.objects[0] + 1
    grazing = Walker(x - 0.1, y + TOUCH - 0.005, 0.0, speed=0.25)
    before, after = math.dist(grazing[:2], (x, y)), math.dist((grazing.x + 0.25, grazing.y), (x, y))
    assert min(before, after) > TOUCH
    assert with_walker(world, grazing, 0).step(Action.FORWARD).reward == 1


def test_next_targets_are_the_other_objects_alike():
    """As the package draws them: from all, until it is none that is being touched."""
    counts = np.zeros(6)
    for seed in range(100):
        world = MazeWorld(15, seed)
        for _ in range(4):
            now = with_walker(world, beside(world, 0, 0.1), 0).step(Action.NOOP)
            counts[now.target] += 1
    assert counts[0] == 0
    assert np.abs(counts[1:] - 80).max() < 5 * math.sqrt(80)


def test_vectors_are_to_the_right_and_ahead():
    maze = draw(9, 0)
    (x, y), (object_x, object_y) = (4.0, 3.0), maze.objects[0]
    north, east, south = (Moment(Walker(x + 1, y + 1, heading), 0) for heading in (math.pi / 2, 0.0, -math.pi / 2))
    sides = follow(maze, [north, east, south])
    right, up = object_x - x, object_y - y  # of the map
    assert np.allclose(sides["targets_vec"][:, 0], [(right, up), (-up, right), (-right, -up)], atol=1e-6)
    assert np.allclose(sides["agent_dir"], [(0, 1), (1, 0), (0, -1)], atol=1e-7)
    assert np.allclose(sides["agent_pos"], (x, y))


@pytest.mark.parametrize("cells", CELLS)
def test_side_arrays_agree_with_each_other(cells):
    name = f"memory_maze_{cells}x{cells}"
    environment = ENVIRONMENTS[name]
    options = dataclasses.replace(environment.options, size=8)
    episode = environment.fast(options, episode_seed(1, 0))
    sides = episode.extras
    layout, (x, y) = sides["maze_layout"], np.floor(sides["agent_pos"].T).astype(int)
    step = np.arange(len(episode))
    assert layout[step, y, x].all()  # indexed [int(y), int(x)], from the bottom left corner
    objects = np.floor(sides["targets_pos"]).astype(int)
    assert layout[step[:, None], objects[..., 1], objects[..., 0]].all()
    assert (layout == layout[0]).all()
    ahead = sides["agent_dir"][:, None]
    right = np.stack([ahead[..., 1], -ahead[..., 0]], -1)
    found = sides["agent_pos"][:, None] + sides["targets_vec"][..., :1] * right + sides["targets_vec"][..., 1:] * ahead
    assert np.allclose(found, sides["targets_pos"], atol=1e-5)
    number = (sides["target_pos"][:, None] == sides["targets_pos"]).all(-1).argmax(1)
    assert np.array_equal(sides["target_vec"], sides["targets_vec"][step, number])
    assert np.array_equal(sides["target_color"], SPHERE_COLORS[number])
    changed = np.flatnonzero(np.diff(number)) + 1
    assert set(changed) <= set(np.flatnonzero(episode.reward))
    distance = np.linalg.norm(sides["target_vec"], axis=-1)
    assert (distance[np.flatnonzero(episode.reward) - 1] < TOUCH + 0.25).all()


def test_the_border_shows_the_colour_that_is_asked_for():
    env = MemoryMaze(9)
    for seed in range(3):
        image, info = env.reset(seed=seed)
        shade = (info["target_color"].astype(float) * 255 * 0.7).astype(np.uint8)
        for edge in (image[:2], image[-2:], image[:, :2], image[:, -2:]):
            assert (edge == shade).all()


def test_an_episode_online_is_as_long_as_the_packages():
    env = gymnasium.make("longdream/MemoryMaze9x9-v0", size=8)
    env.reset(seed=0)
    ends = [env.step(0)[2:4] for _ in range(1000)]
    assert not any(terminated for terminated, _ in ends)
    assert [truncated for _, truncated in ends] == [False] * 999 + [True]


def test_resets_without_a_seed_go_on_to_other_mazes():
    env = MemoryMaze(9, size=8)
    first = [env.reset(seed=4)[1]["maze_layout"], *(env.reset()[1]["maze_layout"] for _ in range(3))]
    again = [env.reset(seed=4)[1]["maze_layout"], *(env.reset()[1]["maze_layout"] for _ in range(3))]
    assert np.array_equal(first, again)
    assert len({layout.tobytes() for layout in first}) == 4


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"cells": 10}, "cells 10: Memory Maze comes in 9, 11, 13, 15 cells across"),
        ({"size": 60}, "size 60"),
        ({"size": 32, "renderer": "mujoco"}, "size 32: by `mujoco` 64 or more"),
        ({"renderer": "povray"}, "there is no renderer 'povray'"),
    ],
)
def test_bad_arguments_are_refused(arguments, said):
    with pytest.raises(ValueError, match=said):
        MemoryMaze(**arguments)


def test_the_packages_frames_cannot_be_drawn_on_reading():
    options = MemoryMazeOptions(renderer="mujoco")
    with pytest.raises(ValueError, match="frames of memory_maze_9x9 by --renderer mujoco have to be stored"):
        describe_dataset("memory_maze_9x9", options, 1, 0, Splits.from_ratio(28, 1, 1), frames="on-read")


def test_the_query_is_what_probes_are_measured_on():
    assert spec(MemoryMazeOptions()) == (500, 501)  # steps 500 to 1000 of 1001 observations


def test_before_the_first_reset_there_is_no_world():
    with pytest.raises(RuntimeError, match="reset the environment first"):
        MemoryMaze(9).step(0)
