"""The squashing that lets one set of hyperparameters serve quantities of any size.

Source: DreamerV3, section on symlog predictions.
"""

from __future__ import annotations

from torch import Tensor


def symlog(x: Tensor) -> Tensor:
    """Return sign(x) log(1 + |x|)."""
    return x.sign() * x.abs().log1p()


def symexp(x: Tensor) -> Tensor:
    """Return sign(x) (e^|x| - 1), the inverse of `symlog`."""
    return x.sign() * x.abs().expm1()
