"""S4D: S4 with a diagonal state matrix, discretised by zero-order hold. The cheap kernel: default on CPU and in tests.

Axes: B batch, H channels, n = N/2 complex states, R steps a block, Q blocks.

Source: Gu et al. 2022 (S4D), the S4D-Lin initialisation A_n = -1/2 + i pi n.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn

from .siso import BLOCK, SISO, Factors


class DiagonalStep(NamedTuple):
    """A rollout's constants; y = C' s with the state scaled so that the input enters unscaled."""

    transition: Tensor  # (H n) complex
    inputs: Tensor  # (H n) complex
    readout: Tensor  # (H N) real
    skip: Tensor  # (H)


def planar(z: Tensor, dim: int = -1) -> Tensor:
    """Put real parts before imaginary parts along `dim`."""
    return torch.cat([z.real, z.imag], dim)


def unplanar(x: Tensor, dim: int = -1) -> Tensor:
    """Undo `planar`."""
    return torch.complex(*(part.contiguous() for part in x.chunk(2, dim)))


class DiagonalKernel(SISO):
    """S4D-Lin with a state matrix per channel."""

    ssm_parameters = ("log_dt", "log_decay", "frequency")

    def __init__(self, channels: int, state: int) -> None:
        if state < 2 or state % 2:
            raise ValueError(f"the state size must be a positive even number, not {state}")
        super().__init__(channels, state)
        self.log_decay = nn.Parameter(torch.full((channels, state // 2), math.log(0.5)))
        self.frequency = nn.Parameter(math.pi * torch.arange(state // 2).float().repeat(channels, 1))

    def _discretise(self) -> tuple[Tensor, Tensor]:
        """Return dt A and the discretised B, both (H n) complex128: exponents of long powers need the digits."""
        A = torch.complex(-self.log_decay.double().exp(), self.frequency.double())
        exponent = self.log_dt.double().exp()[:, None] * A
        return exponent, (exponent.exp() - 1) / A

    def factors(self, length: int) -> Factors:
        """Discretise for `length` steps; powers of A are exponentials, split in two levels."""
        exponent, B = self._discretise()
        blocks = math.ceil(length / BLOCK)
        r = torch.arange(BLOCK, device=exponent.device)
        q = BLOCK * torch.arange(blocks, device=exponent.device)
        right = planar(B[..., None] * (exponent[..., None] * r).exp(), 1)  # (H N R)
        C = torch.view_as_complex(self.C)
        rows = 2 * C[:, None] * (exponent[:, None] * q[:, None]).exp()  # (H Q n)
        left = torch.cat([rows.real, -rows.imag], -1)  # (H Q N)
        stride = (exponent * BLOCK).exp().to(self.D.dtype.to_complex())
        return Factors(right.to(self.D.dtype), left.to(self.D.dtype), exponent, stride)

    def advance(self, power: Tensor, x: Tensor) -> Tensor:
        """Multiply states x (H N B) by the diagonal `power` (H n)."""
        return planar(power[..., None] * unplanar(x, 1), 1)

    def powers(self, factors: Factors, x: Tensor) -> Tensor:
        """Return A^{r+1} x for r < R: (H N B) -> (H N R B)."""
        r = torch.arange(1, BLOCK + 1, device=x.device)
        decay = (factors.step[..., None] * r).exp().to(self.D.dtype.to_complex())  # (H n R)
        return planar(decay[..., None] * unplanar(x, 1)[:, :, None], 1)

    def step_cache(self) -> DiagonalStep:
        """Discretise once for a rollout."""
        exponent, B = self._discretise()
        transition, inputs = (part.to(self.D.dtype.to_complex()) for part in (exponent.exp(), B))
        return DiagonalStep(transition, inputs, self.readout(), self.D)

    def step(self, u: Tensor, state: Tensor, cache: DiagonalStep) -> tuple[Tensor, Tensor]:
        """Advance one step: u (B H), state (B H N) -> y (B H), state (B H N)."""
        state = planar(cache.transition * unplanar(state) + cache.inputs * u[..., None])
        return (cache.readout * state).sum(-1) + cache.skip * u, state
