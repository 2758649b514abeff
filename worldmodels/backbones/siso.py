"""A linear state-space system per channel: a convolution in training, a recurrence in imagination, one state for both.

    s_t = A s_{t-1} + B u_t        y_t = C s_t + D u_t

Two-level kernel: with t = q R + r,  C A^t B = (C A^{qR}) (A^r B): one small product instead of powers for every t. The
carried state enters as A^{r+1} s; the last state comes by Horner's rule over the Q blocks.

Axes: B batch, H channels, L time, N real state values (the real parts of n = N/2 complex ones, then the imaginary
parts; carried apart from each other), R steps a block, Q blocks.

Precision: every product here is a float32 one on a GPU, too (`exact.py`).
"""

from __future__ import annotations

import math
from abc import abstractmethod
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .block import SSM, Resets, RunningSystem
from .blockwise import Blockwise, System
from .convolution import causal_convolution
from .exact import exact_product
from .parameters import DT_MAX, DT_MIN, log_dt
from .planar import Planar

BLOCK = 32  # R: a power of two; Q and R near the square root of the usual lengths


# Rows times steps from which a rollout in blocks is faster; its constants take as long as plain steps of so many rows.
# One layer of width 512, milliseconds of plain steps / in blocks: DPLR 16 rows, 16 steps 20 / 20; 16 rows, 32 steps
# 42 / 23; 64 rows, 15 steps 113 / 32; S4D 9 / 10, 18 / 12, 59 / 24. A single row loses (DPLR, 512 steps: 31 / 52),
# which is little beside the rest of a model.
WORTH_BLOCKS = 512


class Factors(NamedTuple):
    """The discretised system over a length, in two levels."""

    right: Tensor  # (H N R)  A^r B
    left: Tensor  # (H Q N)  C A^{qR}
    step: Any  # A, in the kernel's own form
    stride: Any  # A^R, in the kernel's own form


class SISO(SSM):
    """H independent linear systems with one input and one output each."""

    def __init__(self, channels: int, state: int, dt_min: float = DT_MIN, dt_max: float = DT_MAX) -> None:
        super().__init__()
        self.channels, self.state = channels, state
        self.log_dt = nn.Parameter(log_dt(channels, dt_min, dt_max))
        self.C = nn.Parameter(torch.randn(channels, state // 2, 2) * 0.5**0.5)  # complex normal
        self.D = nn.Parameter(torch.randn(channels))

    @abstractmethod
    def factors(self, length: int) -> Factors:
        """Discretise the system for `length` steps."""

    @abstractmethod
    def advance(self, power: Any, x: Tensor, b: Tensor) -> Tensor:
        """Multiply states x (H B N) by a power of A and add b (H B N)."""

    @abstractmethod
    def powers(self, factors: Factors, x: Tensor) -> Tensor:
        """Return A^{r+1} x for r < R: (H B N) -> (H R B N)."""

    @abstractmethod
    def system(self) -> System:
        """Discretise the system for a rollout in blocks."""

    def initial(self, batch_size: int) -> Planar:
        """Return zeros (B H n)."""
        return Planar(*(self.D.new_zeros(batch_size, self.channels, self.state // 2) for _ in range(2)))

    def forward(self, u: Tensor, resets: Resets, state: Planar | None) -> tuple[Tensor, Planar]:
        """Run over a sequence: u (B L H), state (B H n) -> y (B L H), state; see `SSM.forward`."""
        u = u.transpose(1, 2).contiguous()  # (B H L)
        factors = self.factors(u.shape[-1])
        s = None if state is None else torch.cat(state, -1).transpose(0, 1)  # (H B N)
        if s is not None:
            s = torch.where(resets.first[:, :1], 0.0, s)
        if resets.inside:
            y, last = self._with_resets(u, resets, s, factors)
        else:
            y, last = self._whole(u, s, factors)
        real, imag = last.transpose(0, 1).chunk(2, -1)
        return torch.addcmul(y, self.D[:, None], u).transpose(1, 2), Planar(real.contiguous(), imag.contiguous())

    def begin_rollout(self, state: Planar, steps: int) -> Planar | RunningSystem:
        """Begin in blocks if they pay; see `SSM.begin_rollout`."""
        pays = len(state.real) * steps >= WORTH_BLOCKS
        return Blockwise(self.system(), state, steps) if pays else state

    def _whole(self, u: Tensor, state: Tensor | None, factors: Factors) -> tuple[Tensor, Tensor]:
        y = causal_convolution(u, self._kernel(factors, u.shape[-1]))
        if state is None:
            return y, self._last_state(u, None, factors)
        free, entering = self._free_response(state, factors, u.shape[-1])
        return y + free, self._last_state(u, entering, factors)

    def _with_resets(self, u: Tensor, resets: Resets, state: Tensor | None, factors: Factors) -> tuple[Tensor, Tensor]:
        """A convolution cannot forget; the system is linear and causal, so each segment goes through it alone."""
        segment, length = resets.segment, u.shape[-1]
        kernel = self._kernel(factors, length)
        y, entering = torch.zeros_like(u), None
        for index in range(resets.inside + 1):
            mask = (segment == index)[:, None]  # (B 1 L)
            y = y + causal_convolution(u * mask, kernel) * mask
        if state is not None:
            free, entering = self._free_response(state, factors, length)
            y = y + free * (segment == 0)[:, None]
            entering = entering * (segment[:, -1:] == 0)
        return y, self._last_state(u * (segment == segment[:, -1:])[:, None], entering, factors)

    @staticmethod
    def _kernel(factors: Factors, length: int) -> Tensor:
        return exact_product(factors.left, factors.right).flatten(1)[:, :length]  # (H Q R) -> (H L)

    def _free_response(self, state: Tensor, factors: Factors, length: int) -> tuple[Tensor, Tensor]:
        """Return y_t = C A^{t+1} s for t < L, and the A^l s of `_last_state`: (H B N) -> (B H L), (H B N)."""
        ahead = self.powers(factors, state)  # (H R B N)
        y = exact_product(factors.left, ahead.flatten(1, 2).mT).unflatten(-1, ahead.shape[1:3])  # (H Q R B)
        y = y.permute(3, 0, 1, 2).flatten(2)[..., :length]
        return y, ahead[:, (length - 1) % BLOCK]

    def _last_state(self, u: Tensor, entering: Tensor | None, factors: Factors) -> Tensor:
        """Return the sum of A^{L-1-t} B u_t over t, and what comes of the state before: (B H L) -> (H B N).

        Horner's rule over blocks of R steps, of which the first holds the l <= R that are left over; `entering` (H B N)
        is A^l of the state before.
        """
        blocks = math.ceil(u.shape[-1] / BLOCK)
        inputs = F.pad(u, (blocks * BLOCK - u.shape[-1], 0)).unflatten(-1, (blocks, BLOCK))  # (B H Q R)
        inputs = inputs.permute(1, 2, 0, 3).flatten(1, 2)  # (H Q*B R)
        sums = exact_product(inputs, factors.right.flip(-1).mT).unflatten(1, (blocks, -1))  # (H Q B N)
        last, *others = sums.unbind(1)
        last = last if entering is None else last + entering
        for block in others:
            last = self.advance(factors.stride, last, block)
        return last
