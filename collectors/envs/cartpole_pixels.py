"""Pictures of a cart and its pole, drawn by numpy: nothing moves in one of them, so speeds must be remembered.

The pole is drawn longer than it is, else its tilt would hardly show; edges are blended, so that a picture changes with
every small motion. There is no window and no pygame.

Axes: P pixels across a picture.
"""

from __future__ import annotations

import math
from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces

SIZE = 64  # P
RAIL_ROW = 36.0  # pixels from the top
PER_METRE = 8.0  # pixels: the rail's 4.8 m, and room beside it
LENGTH, THICKNESS = 22.0, 3.0  # pixels, of the pole
CART_WIDTH, CART_HEIGHT = 10.0, 6.0  # pixels
PAPER, RAIL = 255.0, 170.0  # grey
CART, POLE = np.array([40, 60, 120], np.float32), np.array([200, 90, 30], np.float32)  # red, green, blue

_MIDDLES = np.arange(SIZE, dtype=np.float32) + np.float32(0.5)  # of the pixels, along either axis
_BACKGROUND = np.full((SIZE, SIZE, 3), PAPER, np.float32)
_BACKGROUND[int(RAIL_ROW)] = RAIL


class CartPolePixels(gymnasium.ObservationWrapper):
    """An environment whose `state` is (x, x', angle, angle'), seen as pictures, (64 64 3) uint8."""

    def __init__(self, env: gymnasium.Env) -> None:
        super().__init__(env)
        self.observation_space = spaces.Box(0, 255, (SIZE, SIZE, 3), np.uint8)

    def observation(self, observation: Any) -> np.ndarray:
        """Return the picture of where things are now."""
        x, _, angle, _ = self.env.unwrapped.state
        return picture(float(x), float(angle))


def picture(x: float, angle: float) -> np.ndarray:
    """Draw a cart at `x` metres from the middle and its pole at `angle`, 0 upright and growing clockwise.

    Returns:
        (P P 3) uint8.
    """
    column = SIZE / 2 + x * PER_METRE
    frame = _BACKGROUND.copy()  # (P P 3)
    cart = _bar(RAIL_ROW, CART_HEIGHT)[:, None] * _bar(column, CART_WIDTH)[None, :]  # (P P)
    for share, colour in ((cart, CART), (_pole(column, angle), POLE)):
        frame += share[..., None] * (colour - frame)
    return (frame + 0.5).astype(np.uint8)


def _bar(middle: float, width: float) -> np.ndarray:
    """Return how much of each pixel along an axis a bar covers, (P) float32."""
    return np.clip(width / 2 + 0.5 - np.abs(_MIDDLES - np.float32(middle)), 0, 1)


def _pole(column: float, angle: float) -> np.ndarray:
    """Return how much of each pixel the pole covers, (P P) float32."""
    across, up = np.float32(math.sin(angle)), np.float32(math.cos(angle))
    dx, dy = _MIDDLES[None, :] - np.float32(column), np.float32(RAIL_ROW) - _MIDDLES[:, None]  # (1 P), (P 1)
    along = np.clip(dx * across + dy * up, 0, LENGTH)  # (P P): the nearest point of the pole, from its foot
    distance = np.hypot(dx - along * across, dy - along * up)
    return np.clip(THICKNESS / 2 + 0.5 - distance, 0, 1)
