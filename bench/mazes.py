"""Memory Maze: the package as it is, the package with our changes, and our walker with the ray caster.

Frames per CPU-second of one core; what is compared takes turns, the table shows medians of rounds. Stepping is timed
under the policy of the catalogue, without the reset, which has a column of its own; the ray caster's figure is that of
whole episodes, drawing the maze and the policy included. Frames and rewards of both packages are compared.

    python bench/mazes.py
    python bench/mazes.py --cells 9 15 --rounds 3 --steps 50
"""

from __future__ import annotations

import argparse
import time
from statistics import median
from typing import NamedTuple

import numpy as np

from longdream.collectors.catalogue import ENVIRONMENTS
from longdream.collectors.envs.memory_maze_draw import RULES
from longdream.collectors.envs.memory_maze_stock import StockMaze
from longdream.collectors.policies.memory_maze import wander
from longdream.collectors.rollout import collect_episode, episode_seed

WARM_UP = 5  # steps


class Drive(NamedTuple):
    """What driving through a maze of the package took and gave."""

    reset: float  # CPU-seconds
    rate: float  # steps per CPU-second
    frames: list[np.ndarray]
    rewards: list[float]
    actions: list[int]


def drive(cells: int, seed: int, steps: int, patched: bool, actions: list[int] | None = None) -> Drive:
    """Drive through a maze: by the policy, or as `actions` say."""
    start = time.process_time()
    maze = StockMaze(cells, seed, patched=patched)
    reset = time.process_time() - start
    found = Drive(reset, 0.0, [], [], [])
    for number, action in enumerate(wander(maze, WARM_UP + steps, np.random.default_rng(seed))):
        if number == WARM_UP:
            start = time.process_time()
        taken = action if actions is None else actions[number]
        found.rewards.append(maze.step(taken).reward)
        found.frames.append(maze.frame)
        found.actions.append(taken)
    rate = steps / (time.process_time() - start)
    maze.close()
    return found._replace(rate=rate)


def drawn_rate(cells: int, index: int) -> float:
    """Return the frames per CPU-second of an episode of the catalogue."""
    environment = ENVIRONMENTS[f"memory_maze_{cells}x{cells}"]
    start = time.process_time()
    frames = len(collect_episode(environment, environment.options, episode_seed(0, index)))
    return frames / (time.process_time() - start)


def measure(cells: int, rounds: int, steps: int) -> str:
    """Measure one size; return its line of the table."""
    drawn_rate(cells, 0)  # compiles
    drive(cells, 0, 1, True)  # imports
    theirs, ours, drawn = [], [], []
    for seed in range(1, rounds + 1):
        theirs.append(drive(cells, seed, steps, False))
        ours.append(drive(cells, seed, steps, True, theirs[-1].actions))
        drawn += [drawn_rate(cells, 10 * seed + k) for k in range(10)]
    same = all(np.array_equal(a.frames, b.frames) and a.rewards == b.rewards for a, b in zip(theirs, ours, strict=True))
    before, after = (median(run.rate for run in runs) for runs in (theirs, ours))
    resets = [median(run.reset for run in runs) for runs in (theirs, ours)]
    cast = median(drawn)
    return (
        f"{f'{cells}x{cells}':<8}{before:>9.1f}{after:>9.1f}{after / before:>7.1f}x{'yes' if same else 'NO':>9}"
        f"{resets[0]:>9.2f}{resets[1]:>7.2f}{cast:>12,.0f}{cast / before:>8,.0f}x"
    )


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--cells", type=int, nargs="+", choices=list(RULES), default=[9, 15])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=100)
    arguments = parser.parse_args()
    print(
        f"{'':<8}{'package':>9}{'ours':>9}{'ratio':>8}{'same':>9}{'reset s':>9}{'ours':>7}{'ray cast':>12}{'ratio':>9}"
    )
    for cells in arguments.cells:
        print(measure(cells, arguments.rounds, arguments.steps), flush=True)


if __name__ == "__main__":
    main()
