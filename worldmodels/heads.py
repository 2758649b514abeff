"""What is read out of a latent besides the image: the reward, the value, and whether the episode goes on.

Axes: B batch, T time, F features, R bins.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .networks import perceptron
from .symlog import symexp, symlog

BINS = 255
LIMIT = 20.0  # the outermost bins, in symlog space: values of +-(e^20 - 1)
# Logit of the bin at 0 that a reward head begins with: 92 % for no reward, which is what most steps bring where memory
# is asked for. From a uniform beginning the first updates bend h towards saying 0 everywhere, and what is remembered
# becomes a small part of it: R2I finds memory_len's reward in half the updates with this.
NO_REWARD = 8.0


def symlog_bins() -> Tensor:
    """Return the bins (R) in symlog space, exactly symmetric around an exact zero."""
    positive = torch.linspace(0.0, LIMIT, BINS // 2 + 1)
    return torch.cat([-positive.flip(0)[:-1], positive])


class TwoHot(NamedTuple):
    """A distribution over two neighbouring bins."""

    below: Tensor  # (...) index of the lower bin
    share: Tensor  # (...) probability of the upper one


def two_hot(x: Tensor, bins: Tensor) -> TwoHot:
    """Spread each value (...) over its two neighbouring bins so that the mean is exact."""
    x = x.clamp(bins[0], bins[-1])
    below = torch.searchsorted(bins, x.contiguous()).clamp(1, len(bins) - 1) - 1
    low, high = bins[below], bins[below + 1]
    return TwoHot(below, (x - low) / (high - low))


def symmetric_mean(probabilities: Tensor, bins: Tensor) -> Tensor:
    """Return the mean over bins (... R) -> (...), adding each bin to its mirror image first.

    Summed from left to right, a uniform distribution would not have mean 0 in float32.
    """
    weighted = probabilities * bins
    half = len(bins) // 2
    pairs = weighted[..., :half] + weighted[..., half + 1 :].flip(-1)
    return pairs.sum(-1) + weighted[..., half]


class TwoHotHead(nn.Module):
    """A real number (a reward, a return) as a distribution over 255 bins in symlog space, trained on two-hot targets.

    The mean is taken in symlog space, as in DreamerV3's first version: the later one averages e^|bin|, where a
    probability of 1e-9 in an outermost bin outweighs everything. The last layer starts at zero, so that the first
    predictions are 0.

    Source: DreamerV3, section on symlog predictions.
    """

    bins: Tensor

    def __init__(self, features: int, units: int, layers: int, zero: float = 0.0) -> None:
        """Build the head; `zero` is the logit of the bin at 0 to begin with, those of the others are 0."""
        super().__init__()
        self.net = perceptron(features, units, BINS, layers)
        last = self.net[-1]
        assert isinstance(last, nn.Linear)
        nn.init.zeros_(last.weight)
        nn.init.zeros_(last.bias)
        last.bias.data[BINS // 2] = zero
        self.register_buffer("bins", symlog_bins(), persistent=False)

    def forward(self, features: Tensor) -> Tensor:
        """Return the expected value: (... F) -> (...)."""
        return self.mean(self.log_probabilities(features))

    def loss(self, features: Tensor, value: Tensor) -> Tensor:
        """Return the cross-entropy to the two-hot value: (... F), (...) -> (...)."""
        return self.cross_entropy(self.log_probabilities(features), value)

    def log_probabilities(self, features: Tensor) -> Tensor:
        """Return the distribution, in float32 or wider: (... F) -> (... R)."""
        logits = self.net(features)
        return logits.to(torch.promote_types(logits.dtype, torch.float32)).log_softmax(-1)

    def mean(self, log_probs: Tensor) -> Tensor:
        """Return the expected value of a distribution: (... R) -> (...)."""
        return symexp(symmetric_mean(log_probs.exp(), self.bins))

    def cross_entropy(self, log_probs: Tensor, value: Tensor) -> Tensor:
        """Return the cross-entropy of a distribution to the two-hot value: (... R), (...) -> (...)."""
        target = two_hot(symlog(value.to(self.bins.dtype)), self.bins)
        pair = log_probs.gather(-1, torch.stack([target.below, target.below + 1], -1))
        return -torch.lerp(pair[..., 0], pair[..., 1], target.share.to(pair.dtype))


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
