"""S4's own kernel: a diagonal-plus-low-rank state matrix from HiPPO-LegS, discretised bilinearly.

No Cauchy kernel and no compiled extension: by the Woodbury identity the discretised A is diagonal plus rank one again.
That is the O(N) step; written as a real N x N matrix on n conjugate pairs, its powers come by doubling.

Axes: B batch, H channels, N real states, n = N/2 pairs, R steps a block, Q blocks.

Source: Gu et al. 2022 (S4). A, P and B are shared by all channels; dt, C and D are per channel: so is S4WM's parameter
count.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn

from .blockwise import System
from .exact import exact_product
from .hippo import legs_nplr
from .parameters import DT_MAX, DT_MIN, as_parameter
from .planar import Planar, multiply_add, planar, real_of_inner
from .siso import BLOCK, SISO, Factors


class Discrete(NamedTuple):
    """s' = a s + b u + c Re(r s), complex128; all (H n)."""

    diagonal: Tensor  # a
    inputs: Tensor  # b
    column: Tensor  # c
    row: Tensor  # r, whose product with s is summed over n


class DPLRStep(NamedTuple):
    """A rollout's constants: those of `Discrete`, and y = 2 Re(C s') + D u; all (H n)."""

    diagonal: Planar
    inputs: Planar
    column: Planar
    row: Planar
    readout: Planar  # 2 C


def stacked(z: Tensor) -> Tensor:
    """Return a complex (H n) as a column [Re z; Im z] (H N 1)."""
    return torch.cat([z.real, z.imag], -1)[..., None]


class DPLRKernel(SISO):
    """S4 with HiPPO-LegS initialisation."""

    ssm_parameters = ("log_dt", "log_decay", "frequency", "P", "B")

    def __init__(self, channels: int, state: int, dt_min: float = DT_MIN, dt_max: float = DT_MAX) -> None:
        hippo = legs_nplr(state)
        super().__init__(channels, state, dt_min, dt_max)
        self.log_decay = nn.Parameter((-hippo.eigenvalues.real).log().float())
        self.frequency = nn.Parameter(hippo.eigenvalues.imag.float())
        self.P, self.B = as_parameter(hippo.P), as_parameter(hippo.B)

    def _discretise(self) -> Discrete:
        """Discretise bilinearly, in float64: an error in A grows with its powers.

        With h = dt/2 and M = 1 - h A:  s' = 2 M^-1 (s + h B u) - s, and by Woodbury, with R = 1 / (1 - h Lambda),
        M^-1 x = R x - R P w Re(P* R x)  where  w = 2 / (1/h + 2 Re(P* R P)).
        """
        P, B = (torch.view_as_complex(p.double()) for p in (self.P, self.B))
        eigenvalues = torch.complex(-self.log_decay.double().exp(), self.frequency.double())
        h = self.log_dt.double().exp()[:, None] / 2
        R = 1 / (1 - h * eigenvalues)  # (H n)
        row = P.conj() * R
        weight = 2 / (1 / h + 2 * (row * P).real.sum(-1, keepdim=True))
        column = -2 * weight * R * P
        inputs = 2 * R * h * B + column * (row * h * B).real.sum(-1, keepdim=True)
        return Discrete(2 * R - 1, inputs, column, row)

    def _matrices(self) -> tuple[Tensor, Tensor]:
        """Return A (H N N) and B (H N 1) on [Re s; Im s]."""
        diagonal, inputs, column, row = self._discretise()
        real, imag = torch.diag_embed(diagonal.real), torch.diag_embed(diagonal.imag)
        A = torch.cat([torch.cat([real, -imag], -1), torch.cat([imag, real], -1)], 1)
        along = torch.cat([row.real, -row.imag], -1)[:, None]  # (H 1 N)
        A = A + stacked(column) * along
        return A.to(self.D.dtype), stacked(inputs).to(self.D.dtype)

    def _readout(self) -> Tensor:
        """Return C as a real row (H N) with y = C [Re s; Im s] = 2 Re(C s)."""
        return 2 * torch.cat([self.C[..., 0], -self.C[..., 1]], -1)

    def factors(self, length: int) -> Factors:
        """Discretise for `length` steps; both factors grow by doubling."""
        A, right = self._matrices()
        power = A
        while right.shape[-1] < BLOCK:
            right = torch.cat([right, exact_product(power, right)], -1)
            power = exact_product(power, power)
        stride, left, blocks = power, self._readout()[:, None], math.ceil(length / BLOCK)
        while left.shape[1] < blocks:
            left = torch.cat([left, exact_product(left, power)], 1)
            if left.shape[1] < blocks:
                power = exact_product(power, power)
        return Factors(right, left[:, :blocks], A, stride)

    def advance(self, power: Tensor, x: Tensor, b: Tensor) -> Tensor:
        """Multiply states x (H B N) by the matrix `power` (H N N) and add b (H B N)."""
        return b + exact_product(x, power.mT)

    def powers(self, factors: Factors, x: Tensor) -> Tensor:
        """Return A^{r+1} x for r < R: (H B N) -> (H R B N)."""
        batch, power = x.shape[1], factors.step.mT
        ahead = exact_product(x, power)
        while ahead.shape[1] < BLOCK * batch:
            ahead = torch.cat([ahead, exact_product(ahead, power)], 1)
            power = exact_product(power, power)
        return ahead.unflatten(1, (BLOCK, batch))

    def system(self) -> System:
        """Discretise the system for a rollout in blocks."""
        diagonal, inputs, column, row = self._discretise()
        readout = 2 * torch.view_as_complex(self.C).to(diagonal.dtype)
        return System(diagonal, inputs, column[None], row[None], readout, self.D)

    def step_cache(self) -> DPLRStep:
        """Discretise once for a rollout."""
        constants = (*self._discretise(), 2 * torch.view_as_complex(self.C))
        return DPLRStep(*(planar(z, self.D.dtype) for z in constants))

    def step(self, u: Tensor, state: Planar, cache: DPLRStep) -> tuple[Tensor, Planar]:
        """Advance one step: u (B H), state (B H n) -> y (B H), state (B H n)."""
        along, u_n = real_of_inner(cache.row, state)[..., None], u[..., None]
        forced = ((b * u_n).addcmul_(c, along) for b, c in zip(cache.inputs, cache.column, strict=True))
        state = multiply_add(cache.diagonal, state, Planar(*forced))
        return torch.addcmul(real_of_inner(cache.readout, state), self.D, u), state
