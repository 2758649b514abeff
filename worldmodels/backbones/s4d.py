"""S4D: S4 with a diagonal state matrix, discretised by zero-order hold. The cheap kernel: default on CPU and in tests.

Axes: B batch, H channels, N real states, n = N/2 complex ones, R steps a block, Q blocks.

Source: Gu et al. 2022 (S4D), the S4D-Lin initialisation A_n = -1/2 + i pi n.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn

from .blockwise import System
from .parameters import DT_MAX, DT_MIN
from .planar import Planar, multiply_add, planar, real_of_inner
from .siso import BLOCK, SISO, Factors


class DiagonalStep(NamedTuple):
    """A rollout's constants."""

    transition: Planar  # (H n)
    readout: Planar  # (H n)


def powers(a: Tensor, count: int) -> Tensor:
    """Return a^0 ... a^(count-1), by doubling: (...) -> (... count)."""
    found = torch.ones_like(a)[..., None]
    while found.shape[-1] < count:
        found = torch.cat([found, found * a[..., None]], -1)
        a = a * a
    return found[..., :count]


class DiagonalKernel(SISO):
    """S4D-Lin with a state matrix per channel. The state is carried as B^-1 s: the input enters as it is, C B reads."""

    ssm_parameters = ("log_dt", "log_decay", "frequency")

    def __init__(self, channels: int, state: int, dt_min: float = DT_MIN, dt_max: float = DT_MAX) -> None:
        if state < 2 or state % 2:
            raise ValueError(f"the state size must be a positive even number, not {state}")
        super().__init__(channels, state, dt_min, dt_max)
        self.log_decay = nn.Parameter(torch.full((channels, state // 2), math.log(0.5)))
        self.frequency = nn.Parameter(math.pi * torch.arange(state // 2).float().repeat(channels, 1))

    def _discretise(self) -> tuple[Tensor, Tensor]:
        """Return dt A and 2 C B, both (H n) complex128: long powers need the digits."""
        A = torch.complex(-self.log_decay.double().exp(), self.frequency.double())
        exponent = self.log_dt.double().exp()[:, None] * A
        B = (exponent.exp() - 1) / A
        return exponent, 2 * torch.view_as_complex(self.C) * B

    def factors(self, length: int) -> Factors:
        """Discretise for `length` steps."""
        exponent, C = self._discretise()
        stride = (exponent * BLOCK).exp()
        step = exponent.exp()
        right = powers(step, BLOCK)  # (H n R)
        left = C[..., None] * powers(stride, math.ceil(length / BLOCK))  # (H n Q)
        return Factors(
            right=torch.cat([right.real, right.imag], 1).to(self.D.dtype),
            left=torch.cat([left.real, -left.imag], 1).to(self.D.dtype).mT,
            step=step,
            stride=planar(stride[:, None], self.D.dtype),  # (H 1 n)
        )

    def advance(self, power: Planar, x: Tensor, b: Tensor) -> Tensor:
        """Multiply states x (H B N) by the diagonal `power` (H 1 n) and add b (H B N)."""
        return torch.cat(multiply_add(power, Planar(*x.chunk(2, -1)), Planar(*b.chunk(2, -1))), -1)

    def powers(self, factors: Factors, x: Tensor) -> Tensor:
        """Return A^{r+1} x for r < R: (H B N) -> (H R B N)."""
        a = planar(powers(factors.step, BLOCK + 1)[..., 1:].mT[:, :, None], x.dtype)  # (H R 1 n)
        real, imag = x[:, None].chunk(2, -1)
        return torch.cat([a.real * real - a.imag * imag, a.real * imag + a.imag * real], -1)

    def system(self) -> System:
        """Discretise the system for a rollout in blocks."""
        exponent, readout = self._discretise()
        none = exponent.new_zeros(0, *exponent.shape)
        return System(exponent.exp(), torch.ones_like(exponent), none, none, readout, self.D)

    def step_cache(self) -> DiagonalStep:
        """Discretise once for a rollout."""
        exponent, C = self._discretise()
        return DiagonalStep(planar(exponent.exp(), self.D.dtype), planar(C, self.D.dtype))

    def step(self, u: Tensor, state: Planar, cache: DiagonalStep) -> tuple[Tensor, Planar]:
        """Advance one step: u (B H), state (B H n) -> y (B H), state (B H n)."""
        state = multiply_add(cache.transition, state, Planar(u[..., None], u.new_zeros(())))
        return torch.addcmul(real_of_inner(cache.readout, state), self.D, u), state
