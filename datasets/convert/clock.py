"""The clock of actions: here `action[t]` LED TO `image[t]`; elsewhere it may be the one TAKEN AT `image[t]`.

Axes: T time, A action.
"""

from __future__ import annotations

from typing import Literal

import numpy as np

Clock = Literal["led-to", "taken-at"]


def to_ours(action: np.ndarray, clock: Clock, where: str) -> np.ndarray:
    """Return actions (T A) that led to their frames, uint8 if they are whole numbers, else float32.

    Args:
        action: (T A); of the clock "taken-at" the last one is dropped: no frame follows it.
        clock: of `action`.
        where: what messages call the episode.

    Raises:
        ValueError: if the shape is another, the numbers do not fit, or row 0 is not zero although it led to nothing.
    """
    if action.ndim != 2:
        raise ValueError(f"{where}: action has shape {action.shape}, not (T, A): write whole numbers as one-hot rows")
    if clock == "taken-at":
        action = np.concatenate([np.zeros_like(action[:1]), action[:-1]])
    elif action[0].any():
        raise ValueError(
            f"{where}: row 0 of action is not zero, though nothing led to the first frame: "
            "these seem to be the actions taken AT each frame (--clock taken-at)"
        )
    narrow = action.astype(np.float32 if action.dtype.kind == "f" else np.uint8)
    if action.dtype.kind not in "fbui" or (narrow.dtype == np.uint8 and (narrow != action).any()):
        raise ValueError(f"{where}: action is {action.dtype} with values that fit neither uint8 nor float32")
    return narrow


def from_ours(action: np.ndarray, clock: Clock) -> np.ndarray:
    """Return our actions (T A) under another clock; of "taken-at", the last row is zero: nothing was done any more."""
    if clock == "led-to":
        return action
    return np.concatenate([action[1:], np.zeros_like(action[:1])])
