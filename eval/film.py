"""A film of an episode: what was to be seen, and what each model made of it. Its frames are those that are evaluated.

Axes: B batch, T time, H height, W width, C channels, F features.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import torch

from ..worldmodels.base import Latent, WorldModel
from .imagination import decode, imagine, infer
from .trials import EpisodeSource, layout, load

FILMED = 2  # episodes of an evaluation, the first ones: no choice, so no flattery


class Take(NamedTuple):
    """What one model makes of an episode: it draws what it sees of the context, and imagines the query."""

    name: str  # of the model
    frames: np.ndarray  # (T H W C) uint8, rounded and clipped for the eye; or (T F) float32
    error: np.ndarray  # (T) squared error of what it drew, in the unit of `metrics`
    reward: np.ndarray  # (T) float, expected


class Film(NamedTuple):
    """An episode beside what models make of it."""

    episode: int  # index in the data set
    context: int  # steps that the models were shown
    truth: np.ndarray  # (T H W C) uint8, or (T F) float32
    reward: np.ndarray  # (T) float, received
    takes: tuple[Take, ...]

    def since(self, step: int) -> Film:
        """Return the film without its first `step` steps; they are part of the context."""
        takes = (
            take._replace(frames=take.frames[step:], error=take.error[step:], reward=take.reward[step:])
            for take in self.takes
        )
        return Film(self.episode, self.context - step, self.truth[step:], self.reward[step:], tuple(takes))


def unfilmed(source: EpisodeSource, index: int) -> Film:
    """Return episode `index` of `source` with no model's take yet.

    Raises:
        ValueError: there is no such episode, or it has no query.
    """
    episode = source.episode(index)
    return Film(index, layout(episode).context, episode.obs, episode.reward, ())


def shoot(models: Mapping[str, WorldModel], source: EpisodeSource, index: int, seed: int, device: torch.device) -> Film:
    """Film models, by their names, on one episode; see `take`."""
    takes = tuple(take(name, model, source, index, seed, device) for name, model in models.items())
    return unfilmed(source, index)._replace(takes=takes)


@torch.no_grad()
def take(name: str, model: WorldModel, source: EpisodeSource, index: int, seed: int, device: torch.device) -> Take:
    """Film `model`, which is in evaluation mode and on `device`, on one episode, as an evaluation with `seed` sees it.

    Raises:
        ValueError: there is no such episode, it has no query, or the model's images do not fit or are not finite.
    """
    trials = load(source, [index], [0], layout(source.episode(index))).to(device)
    imagined, _ = imagine(model, trials, seed)  # before the model sees any of the query
    seen = infer(model, trials, seed)
    latent = Latent(*(torch.cat([s[:, : trials.context], i], 1) for s, i in zip(seen, imagined, strict=True)))
    drawn = decode(model, latent, trials.batch.obs, range(trials.batch.obs.shape[1]))
    frames = drawn.kept[0].float()
    if trials.batch.obs.ndim == 5:
        frames = (255 * frames.clamp(0, 1)).round().byte().movedim(1, -1)  # (T C H W) -> (T H W C)
    return Take(name, frames.cpu().numpy(), drawn.error[0].cpu().numpy(), drawn.reward[0].float().cpu().numpy())


def error_frames(film: Film, number: int) -> np.ndarray:
    """Return the absolute difference of a film's take and the truth: (T H W C) uint8."""
    drawn, truth = film.takes[number].frames, film.truth
    return np.maximum(drawn, truth) - np.minimum(drawn, truth)
