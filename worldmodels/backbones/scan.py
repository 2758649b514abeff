"""The recurrence x_t = k_t a x_{t-1} + b_t over a whole sequence at once: a parallel scan and its adjoint.

Reduce, then scan: chunks of R steps run side by side from zero; their ends go through the same scan, with a^R; then the
chunks run again from the states they really start in. Every sequential step is one fused multiply-add over all chunks.
`a` does not change with time, so only states are carried and its powers are taken in float64: the error is that of a
few times R steps, however long the sequence is. Resets are exact: k_t = 0 cuts what came before.

Axes: B batch, T time, n complex states, C chunks, R steps a chunk.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

RADIX = 32  # R, a power of two: the error grows with it, the number of kernels on a GPU falls
CACHE = 2**15  # complex values that a CPU core's cache holds while a step reads and writes them


def linear_scan(a: Tensor, b: Tensor, start: Tensor, keep: Tensor) -> Tensor:
    """Return x_t = k_t a x_{t-1} + b_t for every t; differentiable by a, b and start.

    Args:
        a: (n) complex128, |a| <= 1: the digits beyond float32 count once it is raised to a power.
        b: (B T n) complex64 or complex128.
        start: (B n) of b's dtype, x_{-1}.
        keep: (B T) bool, k: False where everything before that step is forgotten.

    Returns:
        (B T n) of b's dtype.
    """
    return _LinearScan.apply(a, b, start, keep.to(b.dtype)[..., None])


class _LinearScan(torch.autograd.Function):
    """A scan, whose adjoint is the scan run backwards: l_t = k_{t+1} conj(a) l_{t+1} + g_t."""

    @staticmethod
    def forward(ctx: Any, a: Tensor, b: Tensor, start: Tensor, keep: Tensor) -> Tensor:
        states = _scan_rows(a, b, keep, start, reverse=False)
        ctx.save_for_backward(a, states, keep, start)
        return states

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor, Tensor, None]:
        a, states, keep, start = ctx.saved_tensors
        conjugate, never = a.conj_physical(), torch.zeros_like(keep[:, :1])
        adjoint = _scan_rows(conjugate, gradient, torch.cat([keep[:, 1:], never], 1), torch.zeros_like(start), True)
        to_start = keep[:, 0] * adjoint[:, 0]
        to_a = (to_start * start.conj()).sum(0) + _products(torch.cat([never, keep[:, 1:]], 1), states, adjoint)
        return to_a.to(a.dtype), adjoint, to_start * conjugate.to(start.dtype), None


def _products(weight: Tensor, states: Tensor, adjoint: Tensor) -> Tensor:
    """Sum w_t conj(x_{t-1}) l_t over batch and time: (B T 1), (B T n), (B T n) -> (n)."""
    flat = (weight.flatten()[1:], states.flatten(0, 1)[:-1], adjoint.flatten(0, 1)[1:])
    pieces = (x.split(_at_once(x, states.shape[2])) for x in flat)
    return sum(w @ before.conj_physical().mul_(after) for w, before, after in zip(*pieces, strict=True))


def _scan_rows(a: Tensor, b: Tensor, keep: Tensor, start: Tensor, reverse: bool) -> Tensor:
    """Scan (B T n), as many rows at once as a step over all their chunks has room in the cache for."""
    out = torch.empty_like(b, memory_format=torch.contiguous_format)
    rows = _at_once(b, (b.shape[1] // RADIX + 1) * b.shape[2])
    for some_b, some_keep, some_out, some_start in zip(*(x.split(rows) for x in (b, keep, out, start)), strict=True):
        _scan(a, some_b, some_keep, some_out, some_start, reverse)
    return out


def _at_once(x: Tensor, size: int) -> int:
    """Return how many items of `size` values a CPU works on at once (twice as fast as all of x); elsewhere, all."""
    return max(1, CACHE // size) if x.device.type == "cpu" else max(1, len(x))


def _scan(a: Tensor, b: Tensor, keep: Tensor, out: Tensor, start: Tensor, reverse: bool) -> None:
    """Write every state into `out` (B T n): whole chunks, then the steps that are left over."""
    rest = b.shape[1] % RADIX
    body, left = (slice(rest, None), slice(rest)) if reverse else (slice(b.shape[1] - rest), slice(-rest, None))
    if rest < b.shape[1]:
        start = _chunks(a, b[:, body], keep[:, body], out[:, body], start, reverse)
    if rest:
        _sweep(a, b[:, None, left], keep[:, None, left], out[:, None, left], start[:, None], reverse)


def _chunks(a: Tensor, b: Tensor, keep: Tensor, out: Tensor, start: Tensor, reverse: bool) -> Tensor:
    """Write the states of whole chunks into `out`; return the state after the last one (B n)."""
    b, keep, out = (x.unflatten(1, (-1, RADIX)) for x in (b, keep, out))  # (B C R n)
    ends = torch.zeros_like(b[:, :, 0])
    _sweep(a, b, keep, None, ends, reverse)
    reached = torch.empty_like(ends)
    _scan(a.pow(RADIX), ends, keep.prod(2), reached, start, reverse)
    if reverse:
        starts, last = torch.cat([reached[:, 1:], start[:, None]], 1), reached[:, 0]
    else:
        starts, last = torch.cat([start[:, None], reached[:, :-1]], 1), reached[:, -1]
    _sweep(a, b, keep, out, starts, reverse)
    return last


def _sweep(a: Tensor, b: Tensor, keep: Tensor, out: Tensor | None, state: Tensor, reverse: bool) -> None:
    """Run chunks b (B C R n) side by side from `state` (B C n), in place; write every step to `out` if there is one."""
    a, kept = a.to(b.dtype), state if out is None else torch.empty_like(state)
    steps = range(b.shape[2])
    for t in reversed(steps) if reverse else steps:
        torch.mul(state, keep[:, :, t], out=kept)
        state = torch.addcmul(b[:, :, t], a, kept, out=state if out is None else out[:, :, t])
