"""A training step as the benchmarks take it: forward, backward, clipping and AdamW on a random batch."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal
from unittest.mock import patch

import torch
from torch import Tensor

from longdream.eval.speed import Shape, random_batch
from longdream.worldmodels import latent_model, rssm
from longdream.worldmodels.base import Loss
from longdream.worldmodels.codecs.base import Decoder
from longdream.worldmodels.compiled import compile_regions
from longdream.worldmodels.device import allow_tf32
from longdream.worldmodels.families import WorldModelConfig, build
from longdream.worldmodels.optim import build_optimizer
from longdream.worldmodels.presets import OptimConfig

Variant = Literal["as it is", "plain weights", "plain decoder"]
Precision = Literal["float32", "tf32", "bf16"]  # bf16: with TF32 for what is left in float32, as a run has it


class PlainLinear:
    """What `DeferredLinear` would be without deferring."""

    def __init__(self, weight: Tensor) -> None:
        self.weight = weight

    def __call__(self, x: Tensor) -> Tensor:
        return x @ self.weight.T


def plain_reconstruction(decoder: Decoder, features: Tensor, obs: Tensor, weights: Tensor, chunk: int) -> Tensor:
    """Return what `reconstruction_loss` does, with all activations kept for the backward pass."""
    return (decoder.error(features, obs) * weights).sum()


@contextmanager
def varied(variant: Variant) -> Iterator[None]:
    """Put a textbook's way in the place of the library's."""
    if variant == "plain weights":
        with patch.object(rssm, "DeferredLinear", PlainLinear):
            yield
    elif variant == "plain decoder":
        with patch.object(latent_model, "reconstruction_loss", plain_reconstruction):
            yield
    else:
        yield


class Step:
    """A training step of a new model on a random batch."""

    def __init__(
        self,
        config: WorldModelConfig,
        shape: Shape,
        device: str,
        variant: Variant = "as it is",
        precision: Precision = "float32",
        compiled: bool = False,
    ) -> None:
        torch.manual_seed(0)
        self.model = build(config).to(device)
        self.device, self.precision = torch.device(device), precision
        if compiled:
            compile_regions(self.model, self.device)
        self.optimizer = build_optimizer(self.model, OptimConfig())
        self.batch, self.variant = random_batch(config, shape).to(self.device), variant

    def __call__(self) -> None:
        self.backward()
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1000.0)
        self.optimizer.step()
        self.optimizer.zero_grad()

    def backward(self) -> None:
        """Leave the gradients of the loss in the parameters."""
        self.forward().total.backward()

    def forward(self) -> Loss:
        """Return the loss."""
        allow_tf32(self.precision != "float32", self.device)
        low = torch.autocast(self.device.type, torch.bfloat16, enabled=self.precision == "bf16")
        with low, varied(self.variant):
            return self.model(self.batch)

    def prepare(self) -> None:
        """Make AdamW's moments, as if steps had been taken."""
        for parameter in self.model.parameters():
            parameter.grad = torch.zeros_like(parameter)
        self.optimizer.step()
        self.optimizer.zero_grad()
