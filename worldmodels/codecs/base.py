"""What stands between observations and the model: an encoder, and a decoder that also knows its own loss.

Axes: N observations (batch x time), E embedding, F features; the axes of an observation are written (...).
"""

from __future__ import annotations

from abc import ABC, abstractmethod

from torch import Tensor, nn


class Encoder(nn.Module, ABC):
    """Observations to embeddings."""

    @abstractmethod
    def forward(self, obs: Tensor) -> Tensor:
        """Map observations as they come, (N ...), to (N E)."""


class Decoder(nn.Module, ABC):
    """Features to observations."""

    @abstractmethod
    def forward(self, features: Tensor) -> Tensor:
        """Map (N F) to predicted observations (N ...)."""

    @abstractmethod
    def error(self, features: Tensor, obs: Tensor) -> Tensor:
        """Return the reconstruction loss of every observation: (N F), (N ...) -> (N), float32 or wider."""
