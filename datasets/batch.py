"""What a world model is given: a batch of sequences, and the clock that all of the project keeps.

Axes: B batch, T time, C channels, H height, W width, F features, A action.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor


class Batch(NamedTuple):
    """Sequences side by side. One clock: `action[:, t]` LED TO `obs[:, t]`.

    A NamedTuple and not a dataclass: Accelerate and autocast do not see tensors inside dataclasses.

    `inside` is what a convolution has to know of `first` before it starts. Read from a GPU it makes the host wait for
    all that is queued there, once a step; `to` counts it while the batch is still on the host.
    """

    obs: Tensor  # (B T C H W) uint8 images, or (B T F) float32 vectors
    action: Tensor  # (B T A) float32; zeros where `first`
    reward: Tensor  # (B T) float32
    cont: Tensor  # (B T) float32, 1 - terminal
    first: Tensor  # (B T) bool, an episode starts here
    inside: int | None = None  # no row starts anew more often than this after step 0; None: nobody has counted

    @property
    def tensors(self) -> tuple[Tensor, ...]:
        """All that is measured: everything but `inside`."""
        return self[:5]

    def window(self, start: int, stop: int | None = None) -> Batch:
        """Return time steps `start` to `stop` (exclusive) of every row."""
        return self._over(lambda x: x[:, start:stop])

    def rows(self, start: int, stop: int | None = None) -> Batch:
        """Return rows `start` to `stop` (exclusive)."""
        return self._over(lambda x: x[start:stop])

    def afresh(self) -> Batch:
        """Return the batch with a beginning at the first step of every row: nothing is known of what led there."""
        action, first = self.action.clone(), self.first.clone()
        action[:, 0], first[:, 0] = 0, True
        return self._replace(action=action, first=first)

    def to(self, device: torch.device | str) -> Batch:
        """Return the batch on `device`, `inside` counted; pinned memory is copied to a GPU without waiting.

        The way back waits: torch would return before the values are there, and the host would read what is not.
        """
        counted = self if self.inside is not None else self._replace(inside=most_starts(self.first))
        ahead = torch.device(device).type != "cpu"
        return counted._over(lambda x: x.to(device, non_blocking=ahead))

    def contiguous(self) -> Batch:
        """Return a copy in memory of its own, all in one layout."""
        return self._over(lambda x: x.clone(memory_format=torch.contiguous_format))

    def _over(self, change: Callable[[Tensor], Tensor]) -> Batch:
        """Apply `change` to every tensor; what it leaves of a row must not start anew more often than the row."""
        obs, action, reward, cont, first = map(change, self.tensors)
        return Batch(obs, action, reward, cont, first, self.inside)


def most_starts(first: Tensor) -> int:
    """Return how often, at most, a row of `first` (B T) starts anew after step 0; on a GPU the host waits for it."""
    return int(first[:, 1:].sum(1).max())
