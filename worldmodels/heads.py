"""What is read out of a latent besides the image: the reward and whether the episode goes on.

Axes: B batch, T time, F features, R bins.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .networks import perceptron
from .symlog import symexp, symlog

BINS = 255
LIMIT = 20.0  # the outermost bins, in symlog space: rewards of +-(e^20 - 1)


def reward_bins() -> Tensor:
    """Return the bins (R) in symlog space, exactly symmetric around an exact zero."""
    positive = torch.linspace(0.0, LIMIT, BINS // 2 + 1)
    return torch.cat([-positive.flip(0)[:-1], positive])


def two_hot(x: Tensor, bins: Tensor) -> Tensor:
    """Spread each value over its two neighbouring bins so that the mean is exact: (...) -> (... R)."""
    x = x.clamp(bins[0], bins[-1])
    above = torch.searchsorted(bins, x.contiguous()).clamp(1, len(bins) - 1)
    low, high = bins[above - 1], bins[above]
    weight = ((x - low) / (high - low))[..., None]
    return F.one_hot(above - 1, len(bins)) * (1 - weight) + F.one_hot(above, len(bins)) * weight


def symmetric_mean(probabilities: Tensor, bins: Tensor) -> Tensor:
    """Return the mean over bins (... R) -> (...), adding each bin to its mirror image first.

    Summed from left to right, a uniform distribution would not have mean 0 in float32.
    """
    weighted = probabilities * bins
    half = len(bins) // 2
    pairs = weighted[..., :half] + weighted[..., half + 1 :].flip(-1)
    return pairs.sum(-1) + weighted[..., half]


class RewardHead(nn.Module):
    """The reward as a distribution over 255 bins in symlog space, trained on two-hot targets.

    The mean is taken in symlog space, as in DreamerV3's first version: the later one averages e^|bin|, where a
    probability of 1e-9 in an outermost bin outweighs everything. The last layer starts at zero, so that the first
    predictions are 0.

    Source: DreamerV3, section on symlog predictions.
    """

    bins: Tensor

    def __init__(self, features: int, units: int, layers: int) -> None:
        super().__init__()
        self.net = perceptron(features, units, BINS, layers)
        for parameter in self.net[-1].parameters():
            nn.init.zeros_(parameter)
        self.register_buffer("bins", reward_bins(), persistent=False)

    def forward(self, features: Tensor) -> Tensor:
        """Return the expected reward: (... F) -> (...)."""
        return symexp(symmetric_mean(self._logits(features).softmax(-1), self.bins))

    def loss(self, features: Tensor, reward: Tensor) -> Tensor:
        """Return the cross-entropy to the two-hot reward: (... F), (...) -> (...)."""
        target = two_hot(symlog(reward.to(self.bins.dtype)), self.bins)
        return -(target * self._logits(features).log_softmax(-1)).sum(-1)

    def _logits(self, features: Tensor) -> Tensor:
        logits = self.net(features)
        return logits.to(torch.promote_types(logits.dtype, torch.float32))


class ContinueHead(nn.Module):
    """The probability that the episode goes on after this step."""

    def __init__(self, features: int, units: int, layers: int) -> None:
        super().__init__()
        self.net = perceptron(features, units, 1, layers)

    def forward(self, features: Tensor) -> Tensor:
        """Return the probability: (... F) -> (...)."""
        return self._logits(features).sigmoid()

    def loss(self, features: Tensor, cont: Tensor) -> Tensor:
        """Return the binary cross-entropy: (... F), (...) -> (...)."""
        logits = self._logits(features)
        return F.binary_cross_entropy_with_logits(logits, cont.to(logits.dtype), reduction="none")

    def _logits(self, features: Tensor) -> Tensor:
        logits = self.net(features).squeeze(-1)
        return logits.to(torch.promote_types(logits.dtype, torch.float32))
