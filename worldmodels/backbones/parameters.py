"""How the parameters of state-space systems begin, and how complex ones are stored."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

# The range of initial step sizes in S4 and S5. A state remembers about 1 / dt steps, and what one input adds to it goes
# with dt: where memories last for tens of steps, not hundreds, a range ten times as high learns much sooner.
DT_MIN, DT_MAX = 1e-3, 1e-1


def check_steps(dt_min: float, dt_max: float) -> None:
    """Check a range of initial step sizes.

    Raises:
        ValueError: it is empty or reaches zero.
    """
    if not 0 < dt_min <= dt_max:
        raise ValueError(f"initial step sizes need 0 < dt_min <= dt_max, not dt_min={dt_min} and dt_max={dt_max}")


def log_dt(count: int, dt_min: float = DT_MIN, dt_max: float = DT_MAX) -> Tensor:
    """Draw log step sizes, uniform in log dt."""
    low, high = math.log(dt_min), math.log(dt_max)
    return torch.rand(count) * (high - low) + low


def lecun_normal(rows: int, columns: int) -> Tensor:
    """Draw a float64 matrix with variance 1 / columns, cut off at two standard deviations (as JAX does)."""
    deviation = columns**-0.5 / 0.87962566103423978  # the cut takes this much away
    drawn = torch.empty(rows, columns, dtype=torch.float64)
    return nn.init.trunc_normal_(drawn, std=deviation, a=-2 * deviation, b=2 * deviation)


def as_parameter(z: Tensor) -> nn.Parameter:
    """Store a complex tensor as a real (..., 2) float32 parameter: optimisers and DDP handle these everywhere."""
    return nn.Parameter(torch.view_as_real(z.to(torch.complex64)).contiguous())
