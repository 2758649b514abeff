"""Memory Length: a bit is shown when an episode begins, and asked for when it ends.

An observation is (time left, query, context): 1 falling to 0; the number of the bit that is asked for, which is 0 here,
there being one; and the bit as -1 or 1, else 0. As in bsuite the first TWO observations are of time 0, so an episode
takes length + 1 steps, and only the action of the last of them counts: reward 1 if it is the bit, else -1.

Source: Osband et al., Behaviour Suite for Reinforcement Learning, 2020, `memory_len` of bsuite 0.3.6: the same rules.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces


@dataclass(frozen=True)
class MemoryLenOptions:
    """What can be chosen."""

    length: int = 10
    """How long the bit must be remembered, 1 or more; an episode takes one step more."""


def steps(options: MemoryLenOptions) -> int:
    """Return the steps of every episode."""
    return options.length + 1


class MemoryLen(gymnasium.Env):
    """The environment; see the module's docstring."""

    def __init__(self, length: int = 10) -> None:
        """Make the environment.

        Raises:
            ValueError: if there would be nothing to remember.
        """
        if length < 1:
            raise ValueError(f"length {length}: 1 or more steps")
        self.length, self.taken, self.bit = length, 0, 0
        self.observation_space = spaces.Box(-1, 1, (3,), np.float32)
        self.action_space = spaces.Discrete(2)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[np.ndarray, dict[str, Any]]:
        """Begin an episode with a new bit."""
        super().reset(seed=seed)
        self.taken, self.bit = 0, int(self.np_random.integers(2))
        return self._observe(), {}

    def step(self, action: int) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        """Take one action."""
        if not self.action_space.contains(action):
            raise ValueError(f"there is no action {action!r}; they are 0 and 1")
        self.taken += 1
        over = self.taken > self.length
        right = 1.0 if action == self.bit else -1.0
        return self._observe(), right if over else 0.0, over, False, {}

    def _observe(self) -> np.ndarray:
        time = max(self.taken - 1, 0)
        context = 2 * self.bit - 1 if time == 0 else 0
        return np.array([1 - time / self.length, 0, context], np.float32)
