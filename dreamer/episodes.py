"""Episodes as they are played: their returns, lengths and successes.

Axes: N rows (environments side by side).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from .environments.vector import Steps

Success = Callable[[np.ndarray], bool]  # of an episode's rewards (T)


class Outcome(NamedTuple):
    """What came of an episode."""

    total: float  # the return: the sum of its rewards
    length: int  # actions taken
    success: bool | None  # None: the environment has no such thing


class EpisodeTally:
    """Follows the episodes of N rows and says what came of those that end."""

    def __init__(self, rows: int, success: Success | None) -> None:
        self._success = success
        self._rewards: list[list[float]] = [[] for _ in range(rows)]  # of the running episodes

    def add(self, steps: Steps) -> list[Outcome | None]:
        """Take one step of every row; return the outcome of each row's episode, None where it goes on.

        An episode that was dropped (`first` without an end before it) counts nowhere.
        """
        found: list[Outcome | None] = []
        for row, rewards in enumerate(self._rewards):
            if steps.first[row]:
                rewards.clear()
            rewards.append(float(steps.reward[row]))
            ended = steps.terminal[row] or steps.truncated[row]
            found.append(self._outcome(rewards) if ended else None)
        return found

    def _outcome(self, rewards: Sequence[float]) -> Outcome:
        success = None if self._success is None else bool(self._success(np.array(rewards, np.float32)))
        return Outcome(sum(rewards), len(rewards) - 1, success)

    def state(self) -> list[list[float]]:
        """Return what `restore` takes."""
        return [list(rewards) for rewards in self._rewards]

    def restore(self, state: list[list[float]]) -> None:
        """Undo `state`."""
        self._rewards = [list(rewards) for rewards in state]


def summary(outcomes: Sequence[Outcome]) -> dict[str, float]:
    """Return means over episodes, for the log; nothing where there is none."""
    if not outcomes:
        return {}
    found = {
        "return": float(np.mean([outcome.total for outcome in outcomes])),
        "length": float(np.mean([outcome.length for outcome in outcomes])),
    }
    won = [outcome.success for outcome in outcomes if outcome.success is not None]
    return found | ({"success": float(np.mean(won))} if won else {})
