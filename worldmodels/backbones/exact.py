"""Products of matrices in full float32, whatever the process allows elsewhere.

On a GPU the trainer lets linear layers multiply in TF32, whose 10 bits of mantissa do for them. The kernels of
state-space systems are powers of one matrix, and its error grows with the power: their products are taken here, and
those of the gated recurrence, whose state is a sum over all steps. torch's switch is one for the process, and the
backward pass runs long after the forward pass has left a `with` block: so both directions turn it themselves.

Axes: (...) matrices, the same in both, P rows, Q what is summed over, R columns.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable


def exact_product(a: Tensor, b: Tensor) -> Tensor:
    """Return a @ b without TF32, and its gradients too: (... P Q), (... Q R) -> (... P R)."""
    return _Product.apply(a, b)


class _Product(torch.autograd.Function):
    """A product whose backward pass is as exact as its forward pass."""

    @staticmethod
    def forward(ctx: Any, a: Tensor, b: Tensor) -> Tensor:
        ctx.save_for_backward(a, b)
        with _float32():
            return a @ b

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, Tensor | None]:
        a, b = ctx.saved_tensors
        with _float32():
            to_a = gradient @ b.mT if ctx.needs_input_grad[0] else None
            to_b = a.mT @ gradient if ctx.needs_input_grad[1] else None
        return to_a, to_b


@contextmanager
def _float32() -> Iterator[None]:
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("highest")
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)
