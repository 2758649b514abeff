"""Complex tensors as pairs of real ones: a compiler fuses real arithmetic into one kernel, complex arithmetic never.

Axes: (...) any; n complex values, the last axis.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor


class Planar(NamedTuple):
    """A complex tensor."""

    real: Tensor
    imag: Tensor


def planar(z: Tensor, dtype: torch.dtype) -> Planar:
    """Take a complex tensor apart, in a real dtype."""
    return Planar(z.real.to(dtype).contiguous(), z.imag.to(dtype).contiguous())


def multiply_add(a: Planar, x: Planar, b: Planar) -> Planar:
    """Return a x + b."""
    real = torch.addcmul(b.real, a.real, x.real).addcmul_(a.imag, x.imag, value=-1)
    imag = torch.addcmul(b.imag, a.imag, x.real).addcmul_(a.real, x.imag)
    return Planar(real, imag)


def real_of_inner(c: Planar, x: Planar) -> Tensor:
    """Return the real part of the sum of c x over the last axis: (... n) -> (...)."""
    return (c.real * x.real).addcmul_(c.imag, x.imag, value=-1).sum(-1)
