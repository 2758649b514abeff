"""S4's own kernel: a diagonal-plus-low-rank state matrix from HiPPO-LegS, discretised bilinearly.

No Cauchy kernel and no compiled extension: the system on n conjugate pairs is written as a real N x N matrix,
discretised with one batched solve, and its powers come by doubling. The single step costs O(N) through the Woodbury
identity.

Axes: B batch, H channels, N real states, n = N/2 pairs, R steps a block, Q blocks.

Source: Gu et al. 2022 (S4). A, P and B are shared by all channels; dt, C and D are per channel: so is S4WM's parameter
count.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn

from .hippo import legs_nplr
from .s4d import planar, unplanar
from .siso import BLOCK, SISO, Factors


class DPLRStep(NamedTuple):
    """A rollout's constants for s' = 2 M^-1 (s + dt/2 B u) - s with M = 1 - dt/2 A, M inverted by Woodbury."""

    inputs: Tensor  # (H n) complex, dt/2 B
    resolvent: Tensor  # (H n) complex, 1 / (1 - dt/2 Lambda)
    column: Tensor  # (H n) complex, resolvent * P
    row: Tensor  # (H n) complex, conj(P) scaled by Woodbury's denominator
    readout: Tensor  # (H N) real
    skip: Tensor  # (H)


def as_parameter(z: Tensor) -> nn.Parameter:
    """Store a complex tensor as a real (..., 2) float32 parameter: optimisers and DDP handle these everywhere."""
    return nn.Parameter(torch.view_as_real(z.to(torch.complex64)).contiguous())


class DPLRKernel(SISO):
    """S4 with HiPPO-LegS initialisation."""

    ssm_parameters = ("log_dt", "log_decay", "frequency", "P", "B")

    def __init__(self, channels: int, state: int) -> None:
        eigenvalues, P, B = legs_nplr(state)
        super().__init__(channels, state)
        self.log_decay = nn.Parameter((-eigenvalues.real).log().float())
        self.frequency = nn.Parameter(eigenvalues.imag.float())
        self.P, self.B = as_parameter(P), as_parameter(B)

    def _discretise(self) -> tuple[Tensor, Tensor]:
        """Return the bilinear A (H N N) and B (H N 1) on [Re s; Im s].

        Solved in float64: an error in A grows with its powers (a third of the error of the kernel, at no visible cost).
        """
        decay, frequency = torch.diag(-self.log_decay.double().exp()), torch.diag(self.frequency.double())
        P, B = self.P.double().T.flatten(), self.B.double().T.flatten()  # (N) planar
        A = torch.cat([torch.cat([decay, -frequency], 1), torch.cat([frequency, decay], 1)])
        A = A - 2 * P[:, None] * P  # the conjugate half of the states doubles the real part
        eye = torch.eye(self.state, dtype=A.dtype, device=A.device)
        half = self.log_dt.double().exp()[:, None, None] / 2
        both = torch.cat([eye + half * A, 2 * half * B[:, None]], -1)
        solved = torch.linalg.solve(eye - half * A, both).to(self.D.dtype)
        return solved[..., :-1], solved[..., -1:]

    def factors(self, length: int) -> Factors:
        """Discretise for `length` steps; both factors grow by doubling."""
        A, right = self._discretise()
        power = A
        while right.shape[-1] < BLOCK:
            right = torch.cat([right, power @ right], -1)
            power = power @ power
        stride, left, blocks = power, self.readout()[:, None], math.ceil(length / BLOCK)
        while left.shape[1] < blocks:
            left = torch.cat([left, left @ power], 1)
            if left.shape[1] < blocks:
                power = power @ power
        return Factors(right, left[:, :blocks], A, stride)

    def advance(self, power: Tensor, x: Tensor) -> Tensor:
        """Multiply states x (H N B) by the matrix `power` (H N N)."""
        return power @ x

    def powers(self, factors: Factors, x: Tensor) -> Tensor:
        """Return A^{r+1} x for r < R: (H N B) -> (H N R B)."""
        batch, power = x.shape[-1], factors.step
        ahead = power @ x
        while ahead.shape[-1] < BLOCK * batch:
            ahead = torch.cat([ahead, power @ ahead], -1)
            power = power @ power
        return ahead.unflatten(-1, (BLOCK, batch))

    def step_cache(self) -> DPLRStep:
        """Discretise once for a rollout."""
        P, B = (torch.view_as_complex(p.double()) for p in (self.P, self.B))
        eigenvalues = torch.complex(-self.log_decay.double().exp(), self.frequency.double())
        half = self.log_dt.double().exp()[:, None] / 2
        resolvent = 1 / (1 - half * eigenvalues)
        column = resolvent * P
        denominator = 1 / half + 2 * (P.conj() * column).real.sum(-1, keepdim=True)
        dtype = self.D.dtype.to_complex()
        return DPLRStep(
            inputs=(half * B).to(dtype),
            resolvent=resolvent.to(dtype),
            column=column.to(dtype),
            row=(2 * P.conj() / denominator).to(dtype),
            readout=self.readout(),
            skip=self.D,
        )

    def step(self, u: Tensor, state: Tensor, cache: DPLRStep) -> tuple[Tensor, Tensor]:
        """Advance one step: u (B H), state (B H N) -> y (B H), state (B H N)."""
        s = unplanar(state)
        w = cache.resolvent * (s + cache.inputs * u[..., None])
        w = w - cache.column * (cache.row * w).real.sum(-1, keepdim=True)
        state = planar(2 * w - s)
        return (cache.readout * state).sum(-1) + cache.skip * u, state
