"""Collecting: whole episodes at once against stepping the environment, in frames per CPU-second of one core.

Everything an Episode holds is made; storing it is not counted but in the last table. What is compared takes turns; the
tables show medians of rounds:

    python bench/collect.py
    python bench/collect.py --env four_rooms --disk 300      # episodes, by `collect` with two workers, onto the disk

The second table compares with Memory Maze 9x9 as its authors publish it, and as this package runs it, stepped under
random actions; it needs the package memory-maze, MuJoCo and OpenGL.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import numpy as np

from longdream.collectors.catalogue import ENVIRONMENTS
from longdream.collectors.cli import main as collect
from longdream.collectors.rollout import collect_episode, episode_seed, rollout
from longdream.datasets.episode import Episode

NAMES = (
    "distracting_memory",
    "distracting_memory_400",
    "multi_doors_keys_three",
    "multi_doors_keys_seven",
    "two_rooms",
    "four_rooms",
    "ten_rooms",
    "four_rooms_teleport",
)
STOCK_STEPS, OUR_STEPS = 30, 100  # of Memory Maze, in each round; an episode has 1,000


class Row(NamedTuple):
    """One line of the first table; rates in frames per CPU-second."""

    name: str
    stepped: float
    whole: float


def rate(make: Callable[[int], Episode], seeds: Iterator[int], episodes: int) -> float:
    """Return the frames per CPU-second of making some episodes."""
    start = time.process_time()
    frames = sum(len(make(next(seeds))) for _ in range(episodes))
    return frames / (time.process_time() - start)


def measure(name: str, rounds: int, episodes: int = 20) -> Row:
    """Measure one environment: in each round one stepped episode and some whole ones."""
    environment = ENVIRONMENTS[name]
    options = environment.options
    seeds = (episode_seed(0, index) for index in range(10**9))
    collect_episode(environment, options, next(seeds))  # draws the tiles, compiles the renderer
    stepped, whole = [], []
    for _ in range(rounds):
        stepped.append(rate(lambda seed: rollout(environment, options, seed), seeds, 1))
        whole.append(rate(lambda seed: collect_episode(environment, options, seed), seeds, episodes))
    return Row(name, median(stepped), median(whole))


def step_rate(env: Any, actions: np.ndarray) -> float:
    """Return the frames per CPU-second of stepping a Memory Maze."""
    start = time.process_time()
    for action in actions.tolist():
        env.step(action)
    return len(actions) / (time.process_time() - start)


def print_memory_maze(name: str, rounds: int) -> None:
    """Print rates of Memory Maze 9x9 beside that of whole episodes of `name`."""
    from longdream.collectors.envs.memory_maze_stock import StockMaze

    try:
        stock, ours = StockMaze(9, seed=0, patched=False), StockMaze(9, seed=0)
    except ValueError as error:  # no MuJoCo or no OpenGL
        print(f"\n{error}")
        return
    environment, rng = ENVIRONMENTS[name], np.random.default_rng(0)
    seeds = (episode_seed(1, index) for index in range(10**9))
    collect_episode(environment, environment.options, next(seeds))
    rates: dict[str, list[float]] = {"Memory Maze 9x9, stock": [], "Memory Maze 9x9, ours": [], name: []}
    with closing(stock), closing(ours):
        for _ in range(rounds):
            found = (
                step_rate(stock, rng.integers(6, size=STOCK_STEPS)),
                step_rate(ours, rng.integers(6, size=OUR_STEPS)),
                rate(lambda seed: collect_episode(environment, environment.options, seed), seeds, 5),
            )
            for row, value in zip(rates.values(), found, strict=True):
                row.append(value)
    print(f"\n{'frames per CPU-second':<26}{'':>26}{'ratio':>8}")
    slowest = median(rates["Memory Maze 9x9, stock"])
    for label, row in rates.items():
        print(f"{label:<26}{median(row):>26,.0f}{median(row) / slowest:>7.1f}x")


def print_disk(name: str, episodes: int) -> None:
    """Collect onto the disk, by the command itself; it prints its rate by the clock on the wall."""
    print(f"\n{name}, with two workers, compressed, on the disk:")
    with tempfile.TemporaryDirectory() as folder:
        words = ["--env", name, "--n", str(episodes), "--workers", "2", "--out", str(Path(folder) / "data")]
        collect(words)


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--env", nargs="+", choices=list(ENVIRONMENTS), default=NAMES, metavar="NAME")
    parser.add_argument("--disk", type=int, default=0, metavar="EPISODES", help="of each environment, onto the disk")
    arguments = parser.parse_args()
    print(f"{'frames per CPU-second':<26}{'stepped':>12}{'whole':>14}{'ratio':>8}")
    for name in arguments.env:
        row = measure(name, arguments.rounds)
        print(f"{row.name:<26}{row.stepped:>12,.0f}{row.whole:>14,.0f}{row.whole / row.stepped:>7.1f}x", flush=True)
    if "four_rooms" in arguments.env:
        print_memory_maze("four_rooms", arguments.rounds)
    for name in arguments.env:
        if arguments.disk:
            print_disk(name, arguments.disk)


if __name__ == "__main__":
    main()
