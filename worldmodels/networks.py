"""The perceptrons around the backbone.

Source: DreamerV3 (v1): a LayerNorm before SiLU, and no bias before a norm.
"""

from __future__ import annotations

from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

NORM_EPS = 1e-3


class Norm(nn.LayerNorm):
    """LayerNorm that keeps the dtype of what it is given, with sums in float32.

    Under autocast, torch would turn bfloat16 into float32 on a GPU, which moves twice the bytes; on a CPU it keeps
    bfloat16, but adds up the gradients of weight and bias in it: over the pixels of a batch they come out 90 % wrong.
    """

    def __init__(self, size: int) -> None:
        super().__init__(size, eps=NORM_EPS)

    def forward(self, x: Tensor) -> Tensor:
        """Map (... size) to (... size)."""
        if x.dtype == self.weight.dtype:
            return super().forward(x)
        with torch.autocast(x.device.type, enabled=False):
            normed = F.layer_norm(x, self.normalized_shape, eps=self.eps)
            return torch.addcmul(self.bias.to(x.dtype), normed, self.weight.to(x.dtype))


class Layers(nn.Sequential):
    """A chain of layers that `torch.compile` takes as one region: it does not begin at code of torch's own."""

    def forward(self, x: Tensor) -> Tensor:
        """Run all layers."""
        for layer in self:
            x = layer(x)
        return x


def norm_act(inputs: int, outputs: int) -> Layers:
    """Return Linear (no bias), LayerNorm, SiLU: (... inputs) -> (... outputs)."""
    return Layers(nn.Linear(inputs, outputs, bias=False), Norm(outputs), nn.SiLU())


def perceptron(inputs: int, hidden: int, outputs: int, layers: int = 1) -> Layers:
    """Return `layers` hidden layers and a linear output: (... inputs) -> (... outputs)."""
    widths = [inputs] + [hidden] * layers
    hiddens = [norm_act(before, after) for before, after in pairwise(widths)]
    return Layers(*hiddens, nn.Linear(hidden, outputs))
