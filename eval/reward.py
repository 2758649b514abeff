"""The reward at the end of an episode: what a model has to remember in order to know.

Only the last step counts: a reward was given there if it is more than 0.5, and predicted if its decoded mean is.

Axes: B batch, T time.
"""

from __future__ import annotations

from torch import Tensor

from ..worldmodels.base import Latent, WorldModel

THRESHOLD = 0.5
CHANCE = 0.5  # accuracy of tossing a coin


def rewarded(reward: Tensor) -> Tensor:
    """Return whether a sequence ends with a reward: (B T) -> (B) bool."""
    return reward[:, -1] > THRESHOLD


def predicts_reward(model: WorldModel, latent: Latent) -> Tensor:
    """Return whether `model` believes that a sequence of latents (B T ...) ends with a reward: (B) bool."""
    return rewarded(model.predict(Latent(*(x[:, -1:] for x in latent))).reward)
