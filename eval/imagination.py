"""The protocol: the model observes the context, imagines the query from its actions alone, and is held to the truth.

The imagined run comes first and is handed copies of the context and of the query's actions; no call that could show the
model a frame of the query has been made by then.

Axes: B batch, T time, Q query steps, C channels, H height, W width.

Source: S4WM, section 5 (generation) and Table 2 (reward by inference and in imagination).
"""

from __future__ import annotations

from collections.abc import Collection
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from ..worldmodels.base import Latent, WorldModel
from . import floors
from .metrics import squared_error
from .reward import predicts_reward, rewarded
from .trials import Trials

STEPS_AT_ONCE = 32  # decoded images in memory: the whole sequence would not fit
IMAGINATION, INFERENCE = 0, 1  # the two runs over an episode draw from streams of their own


class Decoded(NamedTuple):
    """What the decoder made of a sequence of latents."""

    error: Tensor  # (B T) float64 squared error
    kept: Tensor  # (B K C H W) the frames of the steps asked for


class Outcome(NamedTuple):
    """What the protocol found for one batch of episodes. Squared errors are float64, in the unit of `metrics`."""

    generation: Tensor  # (B Q)
    copy_last: Tensor  # (B Q)
    mean_context: Tensor  # (B Q)
    reconstruction: Tensor  # (B T)
    reward_imagined: Tensor  # (B) bool
    reward_inferred: Tensor  # (B) bool
    reward_true: Tensor  # (B) bool
    frames: Tensor  # (B K C H W) imagined frames of the query steps asked for


def generators(seed: int, indices: Collection[int], run: int) -> list[torch.Generator]:
    """Return one CPU generator an episode, of its own seed: no draw depends on the batch, the process or the device."""
    seeds = [np.random.SeedSequence(seed, spawn_key=(index, run)).generate_state(1, np.uint64) for index in indices]
    return [torch.Generator().manual_seed(int(s[0] >> 1)) for s in seeds]


@torch.no_grad()
def run(model: WorldModel, trials: Trials, seed: int, keep: Collection[int] = ()) -> Outcome:
    """Examine `model` on a batch of episodes.

    Args:
        model: in evaluation mode, on the device of `trials`.
        trials: the episodes.
        seed: of the evaluation.
        keep: query steps whose imagined frames are returned.

    Raises:
        ValueError: the model's images are of another shape, or not finite.
    """
    imagined = imagine(model, trials, seed)  # before the model sees any of the query
    inferred = infer(model, trials, seed)
    context, query = trials.batch.obs.split([trials.context, trials.batch.obs.shape[1] - trials.context], 1)
    decoded = decode(model, imagined, query, keep)
    return Outcome(
        generation=decoded.error,
        copy_last=squared_error(floors.copy_last(context, query.shape[1]), query),
        mean_context=squared_error(floors.mean_context(context, query.shape[1]), query),
        reconstruction=decode(model, inferred, trials.batch.obs).error,
        reward_imagined=predicts_reward(model, imagined),
        reward_inferred=predicts_reward(model, inferred),
        reward_true=rewarded(trials.batch.reward),
        frames=decoded.kept,
    )


def imagine(model: WorldModel, trials: Trials, seed: int) -> Latent:
    """Return the latents of the query (B Q ...), made from the context and the query's actions."""
    draws = generators(seed, trials.indices, IMAGINATION)
    beliefs = model.observe(trials.shown(), generators=draws)
    return model.imagine(beliefs.state, trials.query_actions(), generators=draws)[0]


def infer(model: WorldModel, trials: Trials, seed: int) -> Latent:
    """Return the posterior's latents of the whole sequence (B T ...): here the model sees every frame."""
    return model.observe(trials.batch, generators=generators(seed, trials.indices, INFERENCE)).latent


def decode(model: WorldModel, latent: Latent, truth: Tensor, keep: Collection[int] = ()) -> Decoded:
    """Decode latents (B T ...) a stretch of time at once and compare the images with `truth` (B T C H W) uint8."""
    errors, kept = [], []
    for start in range(0, truth.shape[1], STEPS_AT_ONCE):
        window = slice(start, start + STEPS_AT_ONCE)
        image = model.predict(Latent(*(x[:, window] for x in latent))).obs
        errors.append(squared_error(image, truth[:, window]))
        kept.append(image[:, [step - start for step in sorted(keep) if start <= step < start + STEPS_AT_ONCE]])
    error = torch.cat(errors, 1)
    if not error.isfinite().all():
        step = int((~error.isfinite()).any(0).nonzero()[0])
        raise ValueError(f"the model's images are not finite from step {step} on; evaluate an earlier checkpoint")
    return Decoded(error, torch.cat(kept, 1))
