"""The convolutional encoder and decoder.

Axes: N images (batch x time), C channels, H height, W width, E embedding, F features.

Source: S4WM Tables 7 and 8; DreamerV3 (v1) for kernel 4, stride 2, a norm over channels before SiLU, and no bias before
a norm.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..networks import Layers, Norm
from .base import Decoder, Encoder


@dataclass(frozen=True)
class CNNConfig:
    """Sizes of encoder and decoder, which mirror each other."""

    stages: int = 3  # each halves the image
    multiplier: int = 32  # channels after the first stage; doubled at every further one
    channels: int = 3  # C of the images
    size: int = 40  # H = W of the images, pixels

    def __post_init__(self) -> None:
        if self.size % 2**self.stages:
            raise ValueError(
                f"images of {self.size} pixels cannot be halved {self.stages} times: use a multiple of {2**self.stages}"
            )

    @property
    def smallest(self) -> int:
        """Height and width of the smallest feature map."""
        return self.size // 2**self.stages

    @property
    def widths(self) -> list[int]:
        """Channels after each stage of the encoder."""
        return [self.multiplier * 2**stage for stage in range(self.stages)]

    @property
    def embedding(self) -> int:
        """E, the length of a flattened embedding."""
        return self.smallest**2 * self.widths[-1]


class ChannelNorm(Norm):
    """LayerNorm over the channels of an (N C H W) tensor, then SiLU; permuting is free in channels-last memory."""

    def forward(self, x: Tensor) -> Tensor:
        """Map (N C H W) to (N C H W)."""
        return F.silu(super().forward(x.permute(0, 2, 3, 1))).permute(0, 3, 1, 2)


def centred(image: Tensor, dtype: torch.dtype) -> Tensor:
    """Return pixels in [-0.5, 0.5] from uint8 (...)."""
    return (image.to(dtype) / 255).sub_(0.5)


class CNNEncoder(Encoder):
    """Images (N C H W) uint8 to embeddings (N E)."""

    def __init__(self, config: CNNConfig) -> None:
        super().__init__()
        widths = [config.channels, *config.widths]
        layers: list[nn.Module] = []
        for before, after in pairwise(widths):
            layers += [nn.Conv2d(before, after, 4, 2, 1, bias=False), ChannelNorm(after)]
        self.layers = Layers(*layers).to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def forward(self, obs: Tensor) -> Tensor:
        """Map (N C H W) uint8 to (N E)."""
        pixels = centred(obs, self.layers[0].weight.dtype)
        return self.layers(pixels).permute(0, 2, 3, 1).flatten(1)


class CNNDecoder(Decoder):
    """Features to images, in [0, 1] up to model error (not clipped)."""

    def __init__(self, config: CNNConfig, features: int) -> None:
        super().__init__()
        self.config = config
        self.expand = nn.Linear(features, config.embedding)
        widths = [*config.widths[::-1], config.channels]
        layers: list[nn.Module] = []
        for before, after in pairwise(widths[:-1]):
            layers += [nn.ConvTranspose2d(before, after, 4, 2, 1, bias=False), ChannelNorm(after)]
        layers.append(nn.ConvTranspose2d(widths[-2], widths[-1], 4, 2, 1))
        self.layers = Layers(*layers).to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def forward(self, features: Tensor) -> Tensor:
        """Map (N F) to (N C H W)."""
        return self._centred(features).to(features.dtype) + 0.5

    def error(self, features: Tensor, obs: Tensor) -> Tensor:
        """Return the squared error summed over pixels and channels: (N F), (N C H W) uint8 -> (N)."""
        image = self._centred(features)
        wide = torch.promote_types(image.dtype, torch.float32)
        return (image.to(wide) - centred(obs, wide)).square().sum((1, 2, 3))

    def _centred(self, features: Tensor) -> Tensor:
        side = self.config.smallest
        x = self.expand(features).unflatten(-1, (side, side, -1)).permute(0, 3, 1, 2)
        return self.layers(x)
