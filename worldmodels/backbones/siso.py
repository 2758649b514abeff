"""A linear state-space system per channel: a convolution in training, a recurrence in imagination, one state for both.

    s_t = A s_{t-1} + B u_t        y_t = C s_t + D u_t

Two-level kernel: with t = q R + r,  C A^t B = (C A^{qR}) (A^r B): one small product instead of powers for every t. The
carried state enters as A^{r+1} s; the last state comes by Horner's rule over the Q blocks.

Axes: B batch, H channels, L time, N real state values (the real parts of n = N/2 complex ones, then the imaginary
parts), R steps a block, Q blocks.

Precision: outside autocast. The kernels also need TF32 off for matrix products, which is torch's default.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from typing import Any, ClassVar, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .convolution import causal_convolution, segments

BLOCK = 32  # R: a power of two; Q and R near the square root of the usual lengths
DT_MIN, DT_MAX = 1e-3, 1e-1  # S4's range of initial step sizes


class Factors(NamedTuple):
    """The discretised system over a length, in two levels."""

    right: Tensor  # (H N R)  A^r B
    left: Tensor  # (H Q N)  C A^{qR}
    step: Any  # A, in the kernel's own form
    stride: Any  # A^R, in the kernel's own form


def log_dt(channels: int) -> Tensor:
    """Draw log step sizes (H), uniform in log dt."""
    low, high = math.log(DT_MIN), math.log(DT_MAX)
    return torch.rand(channels) * (high - low) + low


class SISO(nn.Module, ABC):
    """H independent linear systems with one input and one output each. Everything is computed in float32 or wider."""

    ssm_parameters: ClassVar[tuple[str, ...]]  # names of the parameters that learn slowly and do not decay

    def __init__(self, channels: int, state: int) -> None:
        super().__init__()
        self.channels, self.state = channels, state
        self.log_dt = nn.Parameter(log_dt(channels))
        self.C = nn.Parameter(torch.randn(channels, state // 2, 2) * 0.5**0.5)  # complex normal
        self.D = nn.Parameter(torch.randn(channels))

    @abstractmethod
    def factors(self, length: int) -> Factors:
        """Discretise the system for `length` steps."""

    @abstractmethod
    def advance(self, power: Any, x: Tensor) -> Tensor:
        """Multiply states x (H N B) by a power of A."""

    @abstractmethod
    def powers(self, factors: Factors, x: Tensor) -> Tensor:
        """Return A^{r+1} x for r < R: (H N B) -> (H N R B)."""

    @abstractmethod
    def step_cache(self) -> Any:
        """Compute once what every `step` of a rollout needs."""

    @abstractmethod
    def step(self, u: Tensor, state: Tensor, cache: Any) -> tuple[Tensor, Tensor]:
        """Advance one step: u (B H), state (B H N) -> y (B H), state (B H N)."""

    def readout(self) -> Tensor:
        """Return C as a real row (H N) with y = C [Re s; Im s] = 2 Re(C s)."""
        return 2 * torch.cat([self.C[..., 0], -self.C[..., 1]], -1)

    def forward(self, u: Tensor, first: Tensor, state: Tensor | None, resets: bool) -> tuple[Tensor, Tensor]:
        """Run over a sequence: u (B L H), first (B L) bool, state (B H N), None for zeros -> y (B L H), state.

        `resets` says whether `first` is set anywhere after step 0: asking here would make the host wait in every layer.
        """
        with torch.autocast(u.device.type, enabled=False):
            u = u.to(torch.promote_types(u.dtype, self.D.dtype)).transpose(1, 2)  # (B H L)
            factors = self.factors(u.shape[-1])
            if resets:
                y, state = self._with_resets(u, first, state, factors)
            else:
                if state is not None:
                    state = torch.where(first[:, :1, None], 0.0, state)
                y, state = self._whole(u, state, factors)
            return (y + self.D[:, None] * u).transpose(1, 2), state

    def _whole(self, u: Tensor, state: Tensor | None, factors: Factors) -> tuple[Tensor, Tensor]:
        y = causal_convolution(u, self._kernel(factors, u.shape[-1]))
        last = self._last_state(u, factors)
        if state is not None:
            free, carried = self._free_response(state, factors, u.shape[-1])
            y, last = y + free, last + carried
        return y, last

    def _with_resets(self, u: Tensor, first: Tensor, state: Tensor | None, factors: Factors) -> tuple[Tensor, Tensor]:
        """A convolution cannot forget; the system is linear and causal, so each segment goes through it alone."""
        segment, length = segments(first), u.shape[-1]
        kernel = self._kernel(factors, length)
        y = torch.zeros_like(u)
        for index in range(int(segment.max()) + 1):
            mask = (segment == index)[:, None]  # (B 1 L)
            y = y + causal_convolution(u * mask, kernel) * mask
        last = self._last_state(u * (segment == segment[:, -1:])[:, None], factors)
        if state is not None:
            free, carried = self._free_response(state, factors, length)
            y = y + free * (segment == 0)[:, None]
            last = last + carried * (segment[:, -1] == 0)[:, None, None]
        return y, last

    @staticmethod
    def _kernel(factors: Factors, length: int) -> Tensor:
        return (factors.left @ factors.right).flatten(1)[:, :length]  # (H Q R) -> (H L)

    def _free_response(self, state: Tensor, factors: Factors, length: int) -> tuple[Tensor, Tensor]:
        """Return y_t = C A^{t+1} s for t < L (B H L), and A^L s (B H N)."""
        ahead = self.powers(factors, state.permute(1, 2, 0))  # (H N R B)
        y = torch.einsum("hqn,hnrb->bhqr", factors.left, ahead).flatten(2)[..., :length]
        blocks, rest = divmod(length - 1, BLOCK)
        last = ahead[:, :, rest]
        for _ in range(blocks):
            last = self.advance(factors.stride, last)
        return y, last.permute(2, 0, 1)

    def _last_state(self, u: Tensor, factors: Factors) -> Tensor:
        """Return the sum of A^{L-1-t} B u_t over t: (B H L) -> (B H N), by Horner's rule over blocks of R steps."""
        batch, channels, length = u.shape
        blocks = math.ceil(length / BLOCK)
        backwards = F.pad(u.flip(-1), (0, blocks * BLOCK - length)).unflatten(-1, (blocks, BLOCK))  # (B H Q R)
        inputs = backwards.permute(1, 3, 2, 0).reshape(channels, BLOCK, blocks * batch)
        sums = (factors.right @ inputs).unflatten(-1, (blocks, batch))  # (H N Q B)
        last = sums[:, :, -1]
        for block in range(blocks - 2, -1, -1):
            last = self.advance(factors.stride, last) + sums[:, :, block]
        return last.permute(2, 0, 1)
