"""The actor: from features to a distribution over actions.

Axes: A action; the axes before it are (...), F features.

Source: DreamerV3, first version: one-hot actions mixed with 1 % of the uniform distribution; for dm_control, Gaussians
with a mean inside the bounds and a standard deviation between 0.1 and 1.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..worldmodels.latents import LatentConfig, log_probabilities, sample
from ..worldmodels.networks import perceptron

UNIFORM_MIX = 0.01
LEAST_STD, MOST_STD = 0.1, 1.0


class Categorical(NamedTuple):
    """Of one-hot actions."""

    log_probs: Tensor  # (... A)

    def draw(self) -> Tensor:
        """Return one-hot actions (... A)."""
        return sample(self.log_probs).detach()

    def mode(self) -> Tensor:
        """Return the likeliest actions (... A)."""
        return F.one_hot(self.log_probs.argmax(-1), self.log_probs.shape[-1]).to(self.log_probs.dtype)

    def log_prob(self, action: Tensor) -> Tensor:
        """Return the log-probability of one-hot actions: (... A) -> (...)."""
        return (action * self.log_probs).sum(-1)

    def entropy(self) -> Tensor:
        """Return the entropy in nats: (...)."""
        return -(self.log_probs.exp() * self.log_probs).sum(-1)


class BoundedGaussian(NamedTuple):
    """Of actions in [-1, 1]: a Gaussian whose draws are clamped to the bounds.

    DreamerV3 leaves the clamping to the environment; done here, the replay holds what was carried out, and imagination
    takes no action that could not be. A draw beyond a bound has no gradient: a larger one would do the same.
    """

    mean: Tensor  # (... A) in (-1, 1)
    std: Tensor  # (... A)

    def draw(self) -> Tensor:
        """Return actions (... A) through which gradients reach mean and standard deviation."""
        return (self.mean + self.std * torch.randn_like(self.mean)).clamp(-1, 1)

    def mode(self) -> Tensor:
        """Return the mean (... A)."""
        return self.mean

    def entropy(self) -> Tensor:
        """Return the entropy in nats of the Gaussian before it is clamped: (...)."""
        return (self.std.log() + 0.5 * math.log(2 * math.pi * math.e)).sum(-1)


Policy = Categorical | BoundedGaussian


class Actor(nn.Module):
    """The network; a call returns the policy at features (... F)."""

    def __init__(self, features: int, units: int, layers: int, actions: int, discrete: bool) -> None:
        """Build the actor.

        Args:
            features: F.
            units: hidden width.
            layers: hidden layers.
            actions: A.
            discrete: actions are one-hot; else they lie in [-1, 1].
        """
        super().__init__()
        self.discrete = discrete
        self.mixed = LatentConfig(variables=1, classes=actions, uniform_mix=UNIFORM_MIX)
        self.net = perceptron(features, units, actions if discrete else 2 * actions, layers)

    def forward(self, features: Tensor) -> Policy:
        """Return the policy, in float32 or wider."""
        outputs = self.net(features)
        if self.discrete:
            return Categorical(log_probabilities(outputs, self.mixed).squeeze(-2))
        mean, std = outputs.to(torch.promote_types(outputs.dtype, torch.float32)).chunk(2, -1)
        # + 2: a new actor explores, with a standard deviation of about 0.9
        return BoundedGaussian(mean.tanh(), LEAST_STD + (MOST_STD - LEAST_STD) * (std + 2).sigmoid())
