"""The floors: what a frame predictor scores that remembers nothing. A model's figure says little without them.

Both see what the model sees, the context frames, pad steps included.

Axes: B batch, T time, Q query steps, C channels, H height, W width.
"""

from __future__ import annotations

import torch
from torch import Tensor

STEPS_AT_ONCE = 64  # bounds the float64 copies of the images


def copy_last(context: Tensor, query: int) -> Tensor:
    """Predict the last context frame for every query step: (B T C H W) uint8 -> (B Q C H W) float32 in [0, 1]."""
    return _repeat(context[:, -1].float() / 255, query)


def mean_context(context: Tensor, query: int) -> Tensor:
    """Predict the mean context frame for every query step: (B T C H W) uint8 -> (B Q C H W) float32 in [0, 1]."""
    total = sum(frames.sum(1, dtype=torch.float64) for frames in context.split(STEPS_AT_ONCE, 1))
    return _repeat((total / (255 * context.shape[1])).float(), query)


def _repeat(frame: Tensor, query: int) -> Tensor:
    return frame[:, None].expand(-1, query, -1, -1, -1)  # (B C H W) -> (B Q C H W), one frame in memory
