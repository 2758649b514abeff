"""CartPole, swung up: the pole hangs down at first, and any force from -10 N to 10 N may push the cart.

Masses, lengths and equations are those of gymnasium's CartPole, integrated semi-implicitly, which does not gain energy.
The rail ends in walls that stop the cart; nothing ends an episode but its time. A step's reward is between 0 and 1:
how upright the pole is, times how near the cart is to the middle. An observation is (x, x', cos, sin, angle').

Units: metres, seconds, radians; the angle is 0 upright and grows clockwise.
"""

from __future__ import annotations

import math
from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces

GRAVITY, CART, POLE, HALF = 9.8, 1.0, 0.1, 0.5  # m/s^2, kg, kg, m: half of the pole's length
FORCE, TICK = 10.0, 0.02  # N, s
RAIL = 2.4  # m from the middle to a wall
STEPS = 500  # of an episode


class CartPoleSwingUp(gymnasium.Env):
    """The environment; see the module's docstring."""

    def __init__(self) -> None:
        self.state = np.zeros(4)  # x, x', angle, angle'
        self.observation_space = spaces.Box(-np.inf, np.inf, (5,), np.float32)
        self.action_space = spaces.Box(-1, 1, (1,), np.float32)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[np.ndarray, dict[str, Any]]:
        """Begin an episode: at rest, but for a little, and hanging down."""
        super().reset(seed=seed)
        self.state = self.np_random.uniform(-0.05, 0.05, 4)
        self.state[2] += math.pi
        return self._observe(), {}

    def step(self, action: np.ndarray) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        """Push the cart for a tick."""
        push = FORCE * min(max(float(action[0]), -1.0), 1.0)
        self.state = advance(self.state, push)
        x, _, angle, _ = self.state.tolist()
        reward = (1 + math.cos(angle)) / 2 * (1 - (x / RAIL) ** 2)
        return self._observe(), reward, False, False, {}

    def _observe(self) -> np.ndarray:
        x, speed, angle, spin = self.state.tolist()
        return np.array([x, speed, math.cos(angle), math.sin(angle), spin], np.float32)


def advance(state: np.ndarray, push: float) -> np.ndarray:
    """Return the state (x, x', angle, angle') a tick later, under a force of `push` N.

    Source: Florian, Correct equations for the dynamics of the cart-pole system, 2007, without friction.
    """
    x, speed, angle, spin = state.tolist()
    whole, sine, cosine = CART + POLE, math.sin(angle), math.cos(angle)
    pull = (push + POLE * HALF * spin**2 * sine) / whole
    turn = (GRAVITY * sine - cosine * pull) / (HALF * (4 / 3 - POLE * cosine**2 / whole))
    speed += TICK * (pull - POLE * HALF * turn * cosine / whole)
    spin += TICK * turn
    x += TICK * speed
    if abs(x) > RAIL:
        x, speed = math.copysign(RAIL, x), 0.0
    return np.array([x, speed, angle + TICK * spin, spin])
