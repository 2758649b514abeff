"""Discounting Chain: the first action chooses one of five rewards, which come after 1, 3, 10, 30 or 100 steps.

All are 1, but for one of 1.1, which is the same in every episode. An observation is (chain, time): -1 until a chain is
chosen, then its number, 0 to 4; and the share of the 100 steps that have passed.

Source: Osband et al., Behaviour Suite for Reinforcement Learning, 2020, `discounting_chain` of bsuite 0.3.6: the same
rules. `bonus` is what `mapping_seed` is there.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces

DELAYS = (1, 3, 10, 30, 100)  # steps from the reset to the reward, by chain
LENGTH = 100  # steps of an episode
REWARD, BONUS = 1.0, 0.1


@dataclass(frozen=True)
class DiscountingChainOptions:
    """What can be chosen."""

    bonus: int = 3
    """The chain with the higher reward, 0 to 4: it comes after 1, 3, 10, 30 or 100 steps."""


class DiscountingChain(gymnasium.Env):
    """The environment; see the module's docstring."""

    def __init__(self, bonus: int = 3) -> None:
        """Make the environment.

        Raises:
            ValueError: if there is no such chain.
        """
        if not 0 <= bonus < len(DELAYS):
            raise ValueError(f"bonus {bonus}: a chain from 0 to {len(DELAYS) - 1}")
        self.bonus, self.time, self.chain = bonus, 0, -1
        self.observation_space = spaces.Box(-1, len(DELAYS) - 1, (2,), np.float32)
        self.action_space = spaces.Discrete(len(DELAYS))

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[np.ndarray, dict[str, Any]]:
        """Begin an episode; all begin alike."""
        super().reset(seed=seed)
        self.time, self.chain = 0, -1
        return self._observe(), {}

    def step(self, action: int) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        """Take one action."""
        if not self.action_space.contains(action):
            raise ValueError(f"there is no action {action!r}; they are 0 to {len(DELAYS) - 1}")
        if self.time == 0:
            self.chain = int(action)
        self.time += 1
        reward = REWARD + BONUS * (self.chain == self.bonus) if self.time == DELAYS[self.chain] else 0.0
        return self._observe(), reward, self.time >= LENGTH, False, {}

    def _observe(self) -> np.ndarray:
        return np.array([self.chain, self.time / LENGTH], np.float32)
