"""The scale of returns, by which advantages are divided: one entropy bonus then serves rewards of any size.

Axes: N trajectories, H horizon.

Source: DreamerV3, section on the actor: the range from the 5th to the 95th percentile, and at least 1, so that the
noise of small returns is not blown up. As there, the average starts at zero and is not corrected for it.
"""

from __future__ import annotations

import math

import torch
import torch.distributed as dist
from torch import Tensor, nn

LOW, HIGH = 0.05, 0.95


def percentile(x: Tensor, share: float) -> Tensor:
    """Return the value below which `share` of x (any shape) lies, interpolated linearly: ().

    Unlike `torch.quantile` this sorts nothing, and takes tensors of any size.
    """
    x = x.flatten()
    place = share * (x.numel() - 1)
    below = math.floor(place)
    low = x.kthvalue(below + 1).values
    high = x.kthvalue(min(below + 2, x.numel())).values
    return torch.lerp(low, high, place - below)


def of_all_processes(x: Tensor) -> Tensor:
    """Return x (N ...) of every process, one after the other; the same N in each."""
    if not (dist.is_available() and dist.is_initialized()):
        return x
    parts = [torch.empty_like(x) for _ in range(dist.get_world_size())]
    dist.all_gather(parts, x.contiguous())
    return torch.cat(parts)


class ReturnScale(nn.Module):
    """A running range of returns, the same in all processes; kept in buffers, so that checkpoints hold it."""

    low: Tensor
    high: Tensor

    def __init__(self, decay: float) -> None:
        """Begin at an empty range; `decay` is what is kept of it at every update."""
        super().__init__()
        self.decay = decay
        self.register_buffer("low", torch.zeros(()))
        self.register_buffer("high", torch.zeros(()))

    @torch.no_grad()
    def forward(self, returns: Tensor) -> Tensor:
        """Take in returns (N H); return the scale (), 1 or more."""
        returns = of_all_processes(returns.to(self.low.dtype))
        for kept, share in ((self.low, LOW), (self.high, HIGH)):
            kept.lerp_(percentile(returns, share), 1 - self.decay)
        return (self.high - self.low).clamp(min=1)
