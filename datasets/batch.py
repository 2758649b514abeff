"""What a world model is given: a batch of sequences, and the clock that all of the project keeps.

Axes: B batch, T time, C channels, H height, W width, F features, A action.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor


class Batch(NamedTuple):
    """Sequences side by side. One clock: `action[:, t]` LED TO `obs[:, t]`.

    A NamedTuple and not a dataclass: Accelerate and autocast do not see tensors inside dataclasses.
    """

    obs: Tensor  # (B T C H W) uint8 images, or (B T F) float32 vectors
    action: Tensor  # (B T A) float32; zeros where `first`
    reward: Tensor  # (B T) float32
    cont: Tensor  # (B T) float32, 1 - terminal
    first: Tensor  # (B T) bool, an episode starts here

    def window(self, start: int, stop: int | None = None) -> Batch:
        """Return time steps `start` to `stop` (exclusive) of every row."""
        return Batch(*(x[:, start:stop] for x in self))

    def afresh(self) -> Batch:
        """Return the batch with a beginning at the first step of every row: nothing is known of what led there."""
        action, first = self.action.clone(), self.first.clone()
        action[:, 0], first[:, 0] = 0, True
        return self._replace(action=action, first=first)

    def to(self, device: torch.device | str) -> Batch:
        """Return the batch on `device`; pinned memory is copied without waiting."""
        return Batch(*(x.to(device, non_blocking=True) for x in self))
