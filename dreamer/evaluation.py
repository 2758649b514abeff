"""Evaluation: the agent plays episodes of environments that it does not learn from, always the same ones.

It takes the likeliest action. Environments, seeds and draws are the evaluation's own: training is not disturbed.

Axes: N rows (environments side by side).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch

from .agent import Mind
from .environments.vector import Envs, Steps
from .episodes import Outcome, Success
from .player import Player


class Evaluation(NamedTuple):
    """What was played."""

    outcomes: list[Outcome]  # row by row
    example: list[Steps]  # the steps of the first row's first episode, each with N = 1


class Examination:
    """Plays `episodes` episodes, shared out over the rows of `envs`, as often as it is asked to."""

    def __init__(self, envs: Envs, episodes: int, success: Success | None, seed: int) -> None:
        """Prepare; `envs` has not been stepped, and is used by nobody else."""
        rows = envs.count
        self._envs, self._success, self._seed = envs, success, seed
        self._quota = [episodes // rows + (row < episodes % rows) for row in range(rows)]
        self._beginning = envs.state()

    def __call__(self, mind: Mind, by_chance: bool = False, tell: Callable[[], object] = lambda: None) -> Evaluation:
        """Play the episodes; torch's generators are left as they were.

        Args:
            mind: what acts.
            by_chance: a policy that knows nothing acts in its place: the floor.
            tell: is called when an episode has ended.
        """
        devices = [mind.device] if mind.device.type == "cuda" else []
        self._envs.restore(self._beginning)
        with torch.random.fork_rng(devices):
            torch.manual_seed(self._seed)
            return self._play(Player(self._envs, mind, self._success), by_chance, tell)

    def _play(self, player: Player, by_chance: bool, tell: Callable[[], object]) -> Evaluation:
        found: list[list[Outcome]] = [[] for _ in self._quota]
        example: list[Steps] = []
        while any(len(row) < quota for row, quota in zip(found, self._quota, strict=True)):
            steps, outcomes = player.play(greedy=True, by_chance=by_chance)
            if not found[0]:
                example = [] if steps.first[0] else example
                example.append(Steps(*(part[:1].copy() for part in steps)))
            for row, outcome in enumerate(outcomes):
                if outcome is not None and len(found[row]) < self._quota[row]:
                    found[row].append(outcome)
                    tell()
        return Evaluation([outcome for row in found for outcome in row], example)
