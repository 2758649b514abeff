"""Categorical latents: K one-hot variables of V classes, sampled straight through.

Axes: B batch, K latents, V classes.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from .base import Generators


@dataclass(frozen=True)
class LatentConfig:
    """Sizes of the latent (S4WM Tables 7 and 8)."""

    variables: int = 32  # K
    classes: int = 32  # V
    uniform_mix: float = 0.01  # share of the uniform distribution in prior and posterior (DreamerV3)

    def __post_init__(self) -> None:
        if not 0 < self.uniform_mix < 1:
            raise ValueError(f"uniform_mix {self.uniform_mix}: between 0 and 1, else a KL divergence can be infinite")

    @property
    def size(self) -> int:
        """K * V, the width of a flattened latent."""
        return self.variables * self.classes


def log_probabilities(logits: Tensor, config: LatentConfig) -> Tensor:
    """Turn a head's output (... K*V) into log-probabilities (... K V) mixed with the uniform distribution.

    Computed in float32 or wider.
    """
    logits = logits.to(torch.promote_types(logits.dtype, torch.float32))
    logits = logits.unflatten(-1, (config.variables, config.classes))
    probabilities = (1 - config.uniform_mix) * logits.softmax(-1) + config.uniform_mix / config.classes
    return probabilities.log()


def noise(like: Tensor, generators: Generators = None) -> Tensor:
    """Draw the Exp(1) noise of `choose` in `like`'s shape (B ...).

    Args:
        like: for its shape, dtype and device.
        generators: one CPU generator per row of the batch; None draws from torch's global generator.
    """
    if generators is None:
        return torch.empty_like(like).exponential_()
    rows = [torch.empty(like.shape[1:], dtype=like.dtype).exponential_(generator=g) for g in generators]
    return torch.stack(rows).to(like.device)


def choose(log_probs: Tensor, exponential: Tensor) -> Tensor:
    """Turn noise into one-hot latents; gradients go straight through to the probabilities.

    The argmax of p / Exp(1) is an exact categorical draw (the Gumbel trick) and, unlike `multinomial`, never makes the
    host wait for the device.

    Args:
        log_probs: (... K V).
        exponential: (... K V), from `noise`.
    """
    probabilities = log_probs.exp()
    winner = (probabilities.detach() / exponential).argmax(-1)
    one_hot = F.one_hot(winner, log_probs.shape[-1]).to(probabilities.dtype)
    return one_hot + (probabilities - probabilities.detach())  # in this order the value is exactly one-hot


def sample(log_probs: Tensor, generators: Generators = None) -> Tensor:
    """Draw one-hot latents (B ... K V) of log-probabilities; see `noise` and `choose`."""
    return choose(log_probs, noise(log_probs, generators))


def kl_divergence(p: Tensor, q: Tensor) -> Tensor:
    """Return KL(p || q) of log-probabilities (... K V), summed over the latents: (...)."""
    return (p.exp() * (p - q)).sum((-2, -1))
