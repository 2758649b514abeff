"""The decoder's loss with eager gradients: frames go through the decoder a few at a time, and the gradients of each
chunk are taken at once, so that activations of one chunk only are alive. Nothing is computed twice.

Axes: N observations (batch x time), F features; the axes of an observation are written (...).
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from .codecs.base import Decoder


def reconstruction_loss(decoder: Decoder, features: Tensor, obs: Tensor, weights: Tensor, chunk: int) -> Tensor:
    """Return the weighted sum of the decoder's errors, differentiable in `features` and the decoder's parameters.

    Args:
        decoder: its `error` is summed.
        features: (N F).
        obs: (N ...), the targets.
        weights: (N), of every observation; they are not differentiated.
        chunk: observations decoded at once; memory grows with it, and not with N.

    Returns:
        A scalar.
    """
    if torch.is_grad_enabled():
        return _EagerGradients.apply(decoder, features, obs, weights, chunk, *decoder.parameters())
    return torch.stack([_weighted(decoder, *part) for part in _chunks(features, obs, weights, chunk)]).sum()


def _chunks(features: Tensor, obs: Tensor, weights: Tensor, chunk: int) -> Any:
    return zip(features.split(chunk), obs.split(chunk), weights.split(chunk), strict=True)


def _weighted(decoder: Decoder, features: Tensor, obs: Tensor, weights: Tensor) -> Tensor:
    return (decoder.error(features, obs) * weights).sum()


class _EagerGradients(torch.autograd.Function):
    """A loss whose gradients are known by the time it is."""

    @staticmethod
    def forward(
        ctx: Any, decoder: Decoder, features: Tensor, obs: Tensor, weights: Tensor, chunk: int, *parameters: Tensor
    ) -> Tensor:
        trained = [p for p in parameters if p.requires_grad]
        totals, of_features, of_parameters = [], [], [torch.zeros_like(p) for p in trained]
        for part, target, weight in _chunks(features, obs, weights, chunk):
            with torch.enable_grad():
                leaf = part.detach().requires_grad_()
                total = _weighted(decoder, leaf, target, weight)
                gradients = torch.autograd.grad(total, [leaf, *trained])
            totals.append(total.detach())
            of_features.append(gradients[0])
            if trained:
                torch._foreach_add_(of_parameters, gradients[1:])
        ctx.save_for_backward(torch.cat(of_features), *of_parameters)
        ctx.trained = [p.requires_grad for p in parameters]
        return torch.stack(totals).sum()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, upstream: Tensor) -> Any:
        of_features, *of_parameters = ctx.saved_tensors
        scaled = iter(torch._foreach_mul(of_parameters, upstream)) if of_parameters else iter(())
        return None, of_features * upstream, None, None, None, *(next(scaled) if t else None for t in ctx.trained)
