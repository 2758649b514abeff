"""Encoder and decoder of vector observations: perceptrons in symlog space.

Axes: N observations (batch x time), V values of an observation, E embedding, F features.

Source: DreamerV3 and R2I: vectors are squashed by symlog before the encoder, and predicted in symlog space.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ..networks import Layers, norm_act, perceptron
from ..symlog import symexp, symlog
from .base import Decoder, Encoder


@dataclass(frozen=True)
class VectorConfig:
    """Sizes of the perceptrons for vectors."""

    size: int = 8  # V
    units: int = 512  # width of the hidden layers, and E
    layers: int = 2  # hidden layers

    @property
    def embedding(self) -> int:
        """E."""
        return self.units


class VectorEncoder(Encoder):
    """Vectors (N V) to embeddings (N E)."""

    def __init__(self, config: VectorConfig) -> None:
        super().__init__()
        widths = [config.size] + [config.units] * config.layers
        self.layers = Layers(*map(norm_act, widths[:-1], widths[1:]))

    def forward(self, obs: Tensor) -> Tensor:
        """Map (N V) to (N E)."""
        return self.layers(symlog(obs.to(next(self.parameters()).dtype)))


class VectorDecoder(Decoder):
    """Features to vectors."""

    def __init__(self, config: VectorConfig, features: int) -> None:
        super().__init__()
        self.layers = perceptron(features, config.units, config.size, config.layers)

    def forward(self, features: Tensor) -> Tensor:
        """Map (N F) to (N V)."""
        return symexp(self.layers(features).to(features.dtype))

    def error(self, features: Tensor, obs: Tensor) -> Tensor:
        """Return the squared error in symlog space, summed over the vector: (N F), (N V) -> (N)."""
        vector = self.layers(features)
        wide = torch.promote_types(vector.dtype, torch.float32)
        return (vector.to(wide) - symlog(obs.to(wide))).square().sum(1)
