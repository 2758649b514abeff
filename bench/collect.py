"""Collecting 2D episodes: the vectorised path against stepping MiniGrid, in frames per CPU-second of one core.

Everything an Episode holds is made; storing it is not counted. The paths take turns; the table shows medians of rounds:

    python bench/collect.py
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator
from statistics import median
from typing import NamedTuple

from longdream.collectors.catalogue import ENVIRONMENTS
from longdream.collectors.rollout import collect_episode, episode_seed, rollout
from longdream.datasets.episode import Episode

NAMES = ("distracting_memory", "distracting_memory_400", "multi_doors_keys_three", "multi_doors_keys_seven")


class Row(NamedTuple):
    """One line of the table; rates in frames per CPU-second."""

    name: str
    stepped: float
    vectorised: float


def rate(make: Callable[[int], Episode], seeds: Iterator[int], episodes: int) -> float:
    """Return the frames per CPU-second of making some episodes."""
    start = time.process_time()
    frames = sum(len(make(next(seeds))) for _ in range(episodes))
    return frames / (time.process_time() - start)


def measure(name: str, rounds: int) -> Row:
    """Measure one environment: in each round one stepped episode and 20 vectorised ones."""
    environment = ENVIRONMENTS[name]
    options = environment.options
    seeds = (episode_seed(0, index) for index in range(10**9))
    collect_episode(environment, options, next(seeds))  # draws the tiles
    stepped, vectorised = [], []
    for _ in range(rounds):
        stepped.append(rate(lambda seed: rollout(environment, options, seed), seeds, 1))
        vectorised.append(rate(lambda seed: collect_episode(environment, options, seed), seeds, 20))
    return Row(name, median(stepped), median(vectorised))


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--env", nargs="+", choices=list(ENVIRONMENTS), default=NAMES, metavar="NAME")
    arguments = parser.parse_args()
    print(f"{'frames per CPU-second':<26}{'MiniGrid':>12}{'vectorised':>14}{'ratio':>8}")
    for name in arguments.env:
        row = measure(name, arguments.rounds)
        print(f"{row.name:<26}{row.stepped:>12,.0f}{row.vectorised:>14,.0f}{row.vectorised / row.stepped:>7.1f}x")


if __name__ == "__main__":
    main()
