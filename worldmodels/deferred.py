"""A linear map used at every step of a loop, whose weight's gradient is formed once, by one large product.

Autograd would add one small product per step to the weight's gradient; at width 2048 that is most of a recurrent
model's backward pass.

Axes: B batch, T steps, I inputs, O outputs.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable


class DeferredLinear:
    """`x @ weight.T` for one forward pass; make a new one for every pass.

    Under autocast the product is taken in autocast's dtype, as `torch.nn.functional.linear` would.
    """

    def __init__(self, weight: Tensor) -> None:
        """Take the weight (O I)."""
        kind = weight.device.type
        if torch.is_autocast_enabled(kind):
            weight = weight.to(torch.get_autocast_dtype(kind))
        self._uses: list[_Use] = []
        self._plain = not torch.is_grad_enabled()  # nothing to defer, and nothing for a compiler to trip over
        self._weight = weight if self._plain else _Collect.apply(weight, self._uses)

    def __call__(self, x: Tensor) -> Tensor:
        """Map (B I) to (B O)."""
        x = x.to(self._weight.dtype)
        return x @ self._weight.T if self._plain else _Product.apply(x, self._weight, self._uses)


_Use = tuple[Tensor, Tensor]  # the input (B I) and the gradient of the output (B O) of one step


class _Collect(torch.autograd.Function):
    """The identity; its backward runs after that of every use, since all of them depend on it."""

    @staticmethod
    def forward(ctx: Any, weight: Tensor, uses: list[_Use]) -> Tensor:
        ctx.uses = uses
        ctx.set_materialize_grads(False)
        return weight.view_as(weight)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, _: Tensor | None) -> Any:
        if not ctx.uses:
            return None, None
        inputs, upstream = (torch.cat(parts) for parts in zip(*ctx.uses, strict=True))
        ctx.uses.clear()
        return upstream.T @ inputs, None


class _Product(torch.autograd.Function):
    """A product that leaves its weight's gradient to `_Collect`."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, uses: list[_Use]) -> Tensor:
        ctx.save_for_backward(x, weight)
        ctx.uses = uses
        return x @ weight.T

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, upstream: Tensor) -> Any:
        x, weight = ctx.saved_tensors
        if ctx.needs_input_grad[1]:
            ctx.uses.append((x, upstream))
        return upstream @ weight, None, None
