"""CartPole, to be balanced or swung up, seen as numbers or as pictures."""

from __future__ import annotations

import gymnasium
from gymnasium.envs.classic_control.cartpole import CartPoleEnv

from ...collectors.envs.cartpole_pixels import CartPolePixels
from ...collectors.envs.cartpole_swingup import CartPoleSwingUp

STEPS = 500  # of an episode: CartPole-v1's


def make_cartpole(pixels: bool, swing_up: bool) -> gymnasium.Env:
    """Return gymnasium's CartPole-v1, or the swing-up; with its numbers, or with pictures (64 64 3) uint8."""
    env: gymnasium.Env = CartPoleSwingUp() if swing_up else CartPoleEnv()
    return CartPolePixels(env) if pixels else env
