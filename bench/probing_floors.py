"""The constant rows of the probing tables, on trajectories of our own policy: poses only, no picture is drawn.

    python bench/probing_floors.py                                         2 minutes for the four sizes
    python bench/probing_floors.py --mazes 1000 --trajectories 300 --cells 9

The answers are fitted to one half of the mazes and measured on the other, and the other way round; of a trajectory the
query counts. Published: walls 80.8 % (9x9) and 78.3 % (15x15), objects 23.9 and 64.8 (Memory Maze; S4WM, Table 6).
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from longdream.collectors.envs.memory_maze import OFFLINE
from longdream.collectors.envs.memory_maze_draw import RULES, draw
from longdream.collectors.envs.memory_maze_sides import follow
from longdream.collectors.envs.memory_maze_walk import walk_through
from longdream.collectors.envs.memory_maze_world import MazeWorld
from longdream.collectors.rollout import episode_seed
from longdream.eval.intervals import Interval, mean
from longdream.eval.probing_floors import likely_walls, mean_vectors, object_error, wall_accuracy


class Trajectories(NamedTuple):
    """What the policy did; N trajectories, Q steps of the query, M objects."""

    vectors: np.ndarray  # (N Q M 2) float32, targets_vec
    rewards: np.ndarray  # (N), of whole trajectories


def seeds(count: int) -> Iterator[int]:
    """Yield the seeds of the first episodes of `collect --seed 0`."""
    return (episode_seed(0, index) for index in range(count))


def layouts(cells: int, count: int) -> np.ndarray:
    """Return the layouts of mazes, (N S S) uint8."""
    return np.stack([draw(cells, seed).free for seed in seeds(count)])


def trajectories(cells: int, count: int) -> Trajectories:
    """Return the way the policy of the catalogue goes in the first of these mazes."""
    vectors, rewards = [], []
    for seed in seeds(count):
        world = MazeWorld(cells, seed)
        moments = walk_through(world, OFFLINE, seed).moments
        vectors.append(follow(world.maze, moments[OFFLINE.context :])["targets_vec"])
        rewards.append(sum(moment.reward for moment in moments))
    return Trajectories(np.stack(vectors), np.array(rewards))


def wall_floor(mazes: np.ndarray) -> Interval:
    """Return the constant row for walls (N S S), in %."""
    one, other = np.array_split(mazes, 2)
    right = [wall_accuracy(likely_walls(train), test) for train, test in ((one, other), (other, one))]
    return mean(100 * np.concatenate(right))


def object_floor(vectors: np.ndarray) -> Interval:
    """Return the constant row for objects (N Q M 2)."""
    one, other = np.array_split(vectors, 2)
    return mean(np.concatenate([object_error(mean_vectors(a), b) for a, b in ((one, other), (other, one))]))


def shown(interval: Interval) -> str:
    """Return an estimate with the half of its 95 % interval."""
    return f"{interval.value:.2f} +- {(interval.high - interval.low) / 2:.2f}"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--cells", type=int, nargs="+", choices=list(RULES), default=list(RULES))
    parser.add_argument("--mazes", type=int, default=10_000, help="for the walls")
    parser.add_argument("--trajectories", type=int, default=3_000, help="for the objects")
    arguments = parser.parse_args()
    print(f"{'95 % intervals':<16}{'walls %':>18}{'objects MSE':>18}{'reward':>18}")
    for cells in arguments.cells:
        walls = wall_floor(layouts(cells, arguments.mazes))
        vectors, rewards = trajectories(cells, arguments.trajectories)
        row = (walls, object_floor(vectors), mean(rewards))
        print(f"{f'{cells}x{cells}':<16}" + "".join(f"{shown(interval):>18}" for interval in row), flush=True)


if __name__ == "__main__":
    main()
