"""The script of Memory Maze: shortest ways, where it spends its time, and the constant baselines that follow from that.

The whole measurement, with many more mazes, is `python bench/probing_floors.py`.
"""

from collections import deque
from itertools import pairwise

import numpy as np
import pytest

from longdream.bench.probing_floors import layouts, object_floor, trajectories, wall_floor
from longdream.collectors.envs.memory_maze_draw import RULES, draw
from longdream.collectors.envs.memory_maze_world import MazeWorld, place
from longdream.collectors.envs.walker import Action
from longdream.collectors.policies.memory_maze import NOISE, ORDERS, Cell, wander, ways_to

MAZES, TRAJECTORIES = 3000, 300  # of one size
WALLS = {9: 80.8, 15: 78.3}  # %; published
OBJECTS = {9: 23.9, 15: 64.8}  # squared cells; published
LEFT, RIGHT = (Action.LEFT, Action.FORWARD_LEFT), (Action.RIGHT, Action.FORWARD_RIGHT)
WALLS_WITHIN, OBJECTS_WITHIN = 0.5, {9: 1.0, 15: 1.5}  # our goal


def distances(goal, free):
    """Return the steps to `goal` from everywhere: the slow reference."""
    steps, queue = {goal: 0}, deque([goal])
    while queue:
        x, y = queue.popleft()
        for there in ((x + 1, y), (x - 1, y), (x, y + 1), (x, y - 1)):
            if there in free and there not in steps:
                steps[there] = steps[x, y] + 1
                queue.append(there)
    return steps


@pytest.mark.parametrize("order", range(0, len(ORDERS), 5))
def test_ways_are_shortest(order):
    for seed in range(5):
        free = {Cell(x, y) for y, x in np.argwhere(draw(15, seed).free).tolist()}
        goal = min(free)
        onward, steps = ways_to(goal, free, order), distances(goal, free)
        assert onward.keys() == free
        assert onward[goal] == goal
        assert all(steps[onward[cell]] == steps[cell] - 1 for cell in free - {goal})


def test_all_shortest_ways_are_taken():
    free = {Cell(x, y) for x in range(2) for y in range(2)}
    assert {ways_to(Cell(1, 1), free, order)[Cell(0, 0)] for order in range(len(ORDERS))} == {Cell(0, 1), Cell(1, 0)}


@pytest.mark.parametrize("cells", list(RULES))
def test_it_never_gets_stuck_and_goes_everywhere(cells):
    for seed in range(10):
        world = MazeWorld(cells, seed)
        been = []
        for action in wander(world, 1000, np.random.default_rng(seed)):
            world.step(action)
            x, y, _ = place(world.now.walker)
            been.append((int(x), int(y)))
        longest = max(np.diff(np.flatnonzero([True, *(a != b for a, b in pairwise(been)), True])))
        assert longest < 60, "steps in one cell"
        assert len(set(been)) > 0.3 * world.maze.free.sum()


def test_some_actions_are_noise():
    """A walker without noise never does nothing."""
    world = MazeWorld(9, 0)
    actions = []
    for action in wander(world, 6000, np.random.default_rng(0)):
        world.step(action)
        actions.append(action)
    share = actions.count(Action.NOOP) / 6000
    assert share == pytest.approx(NOISE / len(Action), abs=5 * np.sqrt(NOISE / len(Action) / 6000))


def test_it_turns_left_as_often_as_right():
    """Where several ways are shortest none is preferred."""
    more_left = []
    for seed in range(100):
        world = MazeWorld(9, seed)
        for action in wander(world, 500, np.random.default_rng(seed)):
            world.step(action)
            more_left.append((action in LEFT) - (action in RIGHT))
    by_walk = np.mean(np.reshape(more_left, (100, 500)), 1)
    assert abs(by_walk.mean()) < 4 * by_walk.std() / 10


@pytest.mark.parametrize("cells", WALLS)
def test_the_constant_baseline_for_walls(cells):
    found = wall_floor(layouts(cells, MAZES))
    sampling = found.high - found.value  # a sample's 95 % interval
    assert abs(found.value - WALLS[cells]) < WALLS_WITHIN + sampling


@pytest.mark.parametrize("cells", OBJECTS)
def test_the_constant_baseline_for_objects(cells):
    """It tells where the policy spends its time: at uniform places it would be 26.8 and 73.6."""
    vectors, rewards = trajectories(cells, TRAJECTORIES)
    found = object_floor(vectors)
    sampling = found.high - found.value
    assert sampling < OBJECTS_WITHIN[cells]
    assert abs(found.value - OBJECTS[cells]) < OBJECTS_WITHIN[cells] + sampling
    assert 0.5 < rewards.mean() < 2.5
