"""A rollout of linear systems in blocks of R steps: their state is read and written once a block, not at every step.

    x_{t+1} = A x_t + b u_t        y_t = Re(C x_{t+1}) + D u_t        A x = a x + c Re(r x)

At the beginning of a block the outputs ahead are those of the state alone, C A^{j+1} x for every j < R at once. A step
adds what its input does to the outputs from there on, u_j times C A^i b. When the block is full,

    A^R x = a^R x + sum over i of a^{R-1-i} c (r A^i x)

makes the next state, to which every input adds A^{R-1-i} b u_i: products of small matrices. Exact, up to rounding.

A plain step reads and writes N values a channel for one output, and so waits for the memory: at batch 64, width 512 and
N = 64 it takes a layer 5.1 (DPLR) and 3.0 ms (S4D) on one CPU thread, and here 0.5. The constants of a rollout take 13
and 5 ms.

Axes: B batch, H channels, n complex states of a channel, N their 2 n reals, real and imaginary parts in turn, R steps a
block, K feedbacks c Re(r x): one for DPLR, none for a diagonal system; P any.
"""

from __future__ import annotations

from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor

from .block import RunningSystem
from .planar import Planar

BLOCK = 16  # R; 32 takes a fifth less time a step, and twice as long to begin


class System(NamedTuple):
    """A discretised system, complex128 but for D."""

    diagonal: Tensor  # (H n) a
    inputs: Tensor  # (H n) b
    columns: Tensor  # (K H n) c
    rows: Tensor  # (K H n) r
    readout: Tensor  # (H n) C
    through: Tensor  # (H) D, in the dtype of the rollout


class Block(NamedTuple):
    """The constants of a rollout in blocks."""

    taps: Tensor  # (R H)  C A^i b, and D in the first
    ahead: Tensor  # (H N R)  C A^{j+1}
    feedback: Tensor  # (H N KR)  r A^i
    from_inputs: Tensor  # (H R N)  A^{R-1-i} b
    from_feedback: Tensor  # (H KR N)  a^{R-1-i} c
    powers: Tensor  # (R+1 H 1 N)  a^i


def orbit(a: Tensor, start: Tensor, along: Tensor, into: Tensor, count: int) -> Tensor:
    """Return v_0 ... v_{count-1} of v' = a v + (v . along) into, from v_0 = `start`.

    Args:
        a: (H n) complex; its products are those of complex numbers.
        start: (P H N).
        along: (K H N).
        into: (K H N).
        count: how many are wanted.

    Returns:
        (count P H N).
    """
    found = start.new_empty(count, *start.shape)
    found[0] = start
    for before, after in pairwise(found):
        torch.mul(_complex(before), a, out=_complex(after))
        for c, r in zip(along, into, strict=True):
            after.addcmul_((before * c).sum(-1, keepdim=True), r)
    return found


def block_of(system: System, steps: int) -> Block:
    """Compute the constants of blocks of `steps` steps, in float64.

    Where Re(v x) is meant, v is stored as the reals of its conjugate: a product of reals then says the same.
    """
    a, through = system.diagonal, system.through
    b, c = _reals(system.inputs[None]), _reals(system.columns)
    r, C = _reals(system.rows.conj()), _reals(system.readout[None].conj())
    rows = orbit(a.conj().resolve_conj(), torch.cat([C, r]), c, r, steps + 1)  # (R+1 1+K H N) C A^i and r A^i
    inputs = orbit(a, b, r, c, steps)  # (R 1 H N) A^i b
    powers = orbit(a, _reals(torch.ones_like(a)[None]), r[:0], c[:0], steps + 1)  # (R+1 1 H N) a^i
    undisturbed = _reals(_complex(powers[:-1]) * system.columns)  # (R K H N) a^i c
    taps = (rows[:-1, 0] * b).sum(-1)  # (R H)
    taps[0] += through
    return Block(
        taps=taps.to(through.dtype),
        ahead=_by_channel(rows[1:, :1], through.dtype).mT.contiguous(),
        feedback=_by_channel(rows[:-1, 1:], through.dtype).mT.contiguous(),
        from_inputs=_by_channel(inputs.flip(0), through.dtype),
        from_feedback=_by_channel(undisturbed.flip(0), through.dtype),
        powers=powers.transpose(1, 2).to(through.dtype),
    )


class Blockwise(RunningSystem):
    """Systems in the middle of a block."""

    def __init__(self, system: System, state: Planar, steps: int) -> None:
        """Begin at a state (B H n), which is left alone, with blocks of at most `steps` steps."""
        self._block = block_of(system, min(steps, BLOCK))
        self._x = _reals(torch.complex(*state).transpose(0, 1).contiguous())  # (H B N)
        self._at = 0  # steps of the block that were taken

    def step(self, u: Tensor) -> tuple[Tensor, Blockwise]:
        """Advance one step: u (B H) -> y (B H) and these systems, which have moved on."""
        if self._at == 0:
            self._begin_block()
        ahead = self._ahead[:, self._at :]
        ahead.addcmul_(u[:, None], self._block.taps[: ahead.shape[1]])
        self._inputs[:, self._at] = u
        self._at += 1
        if self._at == len(self._block.taps):
            self._end_block()
        return ahead[:, 0], self

    def state(self) -> Planar:
        """Return the state (B H n)."""
        if self._at:
            self._end_block()
        x = _complex(self._x).transpose(0, 1)
        return Planar(x.real.contiguous(), x.imag.contiguous())

    def _begin_block(self) -> None:
        ahead = self._x @ self._block.ahead  # (H B R)
        self._ahead = ahead.flatten(1).T.contiguous().unflatten(0, ahead.shape[1:])  # (B R H)
        self._feedback = self._x @ self._block.feedback  # (H B KR)
        self._inputs = torch.empty_like(self._ahead)

    def _end_block(self) -> None:
        """Move the state to where the steps have come, in place."""
        count, self._at = self._at, 0
        inputs = self._inputs[:, :count].flatten(0, 1).T.contiguous().unflatten(1, (-1, count))  # (H B R)
        _complex(self._x).mul_(_complex(self._block.powers[count]))
        self._x.baddbmm_(inputs, self._block.from_inputs[:, -count:])
        self._x.baddbmm_(self._feedback[..., :count], self._block.from_feedback[:, -count:])


def _by_channel(v: Tensor, dtype: torch.dtype) -> Tensor:
    """Put channels first: (R P H N) -> (H PR N)."""
    return v.to(dtype).permute(2, 1, 0, 3).flatten(1, 2).contiguous()


def _reals(z: Tensor) -> Tensor:
    """Store complex numbers (... n) as reals (... N)."""
    return torch.view_as_real(z.resolve_conj()).flatten(-2)


def _complex(x: Tensor) -> Tensor:
    """View reals (... N) as the complex numbers (... n) that they are."""
    return torch.view_as_complex(x.unflatten(-1, (-1, 2)))
