"""The protocol: the model observes the context, imagines the query from its actions alone, and is held to the truth.

The imagined run comes first and is handed copies of the context and of the query's actions; no call that could show the
model a frame of the query has been made by then. Then comes recall, where the episodes are teleported: the state after
the context is carried on over the first frames of the query, a copy of each handed over in its turn, and imagination
branches off it wherever it is asked for. Only the last run, inference, sees the whole query.

Axes: B batch, T time, Q query steps, C channels, H height, W width.

Source: S4WM, section 5 (generation) and Table 2 (reward by inference and in imagination).
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from ..worldmodels.base import Latent, State, WorldModel
from . import doors
from .metrics import squared_error
from .reward import predicts_reward, rewarded
from .trials import Trials

STEPS_AT_ONCE = 32  # decoded images in memory: the whole sequence would not fit
IMAGINATION, INFERENCE, RECALL = 0, 1, 2  # the runs over an episode draw from streams of their own


class Decoded(NamedTuple):
    """What the decoder made of a sequence of latents."""

    error: Tensor  # (B T) float64 squared error
    kept: Tensor  # (B K C H W) the frames of the steps asked for
    doors: Tensor | None  # (B T D) int64, the states read at the doors' places
    reward: Tensor  # (B T) expected


class Outcome(NamedTuple):
    """What the protocol found for one batch of episodes. Squared errors are float64, in the unit of `metrics`."""

    generation: Tensor  # (B Q)
    recall: list[Tensor]  # one (B Q-k) for every k, of the steps imagined; empty where no episode is teleported
    reconstruction: Tensor  # (B T)
    reward_imagined: Tensor  # (B) bool
    reward_inferred: Tensor  # (B) bool
    reward_true: Tensor  # (B) bool
    frames: Tensor  # (B K C H W) imagined frames of the query steps asked for
    doors: Tensor | None  # (B Q D) int64, the doors' states read from imagined frames; None where there are none


def generators(seed: int, indices: Collection[int], *run: int) -> list[torch.Generator]:
    """Return one CPU generator an episode, of its own seed: no draw depends on the batch, the process or the device."""
    seeds = [np.random.SeedSequence(seed, spawn_key=(index, *run)).generate_state(1, np.uint64) for index in indices]
    return [torch.Generator().manual_seed(int(s[0] >> 1)) for s in seeds]


@torch.no_grad()
def run(model: WorldModel, trials: Trials, seed: int, keep: Collection[int] = (), given: Sequence[int] = ()) -> Outcome:
    """Examine `model` on a batch of episodes.

    Args:
        model: in evaluation mode, on the device of `trials`.
        trials: the episodes.
        seed: of the evaluation.
        keep: query steps whose imagined frames are returned.
        given: frames shown after a teleport, ascending; recall.py.

    Raises:
        ValueError: the model's images are of another shape, or not finite.
    """
    imagined, state = imagine(model, trials, seed)  # before it sees any of the query
    tiles = None if trials.doors is None else trials.doors.tile
    decoded = decode(model, imagined, trials.batch.obs[:, trials.context :], keep, tiles)
    recalled = recall(model, trials, state, decoded.error, seed, given) if trials.teleported.any() else []
    inferred = infer(model, trials, seed)
    return Outcome(
        generation=decoded.error,
        recall=recalled,
        reconstruction=decode(model, inferred, trials.batch.obs).error,
        reward_imagined=predicts_reward(model, imagined),
        reward_inferred=predicts_reward(model, inferred),
        reward_true=rewarded(trials.batch.reward),
        frames=decoded.kept,
        doors=decoded.doors,
    )


def imagine(model: WorldModel, trials: Trials, seed: int) -> tuple[Latent, State]:
    """Return the query's latents (B Q ...), made from the context and the query's actions, and the context's state."""
    draws = generators(seed, trials.indices, IMAGINATION)
    state = model.observe(trials.shown(), generators=draws).state
    return model.imagine(state, trials.query_actions(), generators=draws)[0], state


def recall(
    model: WorldModel, trials: Trials, state: State, generation: Tensor, seed: int, given: Sequence[int]
) -> list[Tensor]:
    """Return the squared errors of what is imagined after k frames of the query, for every k: (B Q-k) each.

    Args:
        model: as in `run`.
        trials: the episodes.
        state: after the context; it stays as it is.
        generation: (B Q) the errors of k = 0, which are not computed again.
        seed: of the evaluation.
        given: the values of k, ascending.
    """
    query, seen, errors = trials.batch.obs[:, trials.context :], 0, []
    draws = generators(seed, trials.indices, RECALL)
    for k in given:
        if k == 0:
            errors.append(generation)
            continue
        for step in range(seen, k):  # one by one: what is drawn does not depend on which k are asked for
            state = model.observe(trials.given(step, step + 1), state, generators=draws).state
        seen = k
        own = generators(seed, trials.indices, RECALL, k)
        latent, _ = model.imagine(state, trials.query_actions(k), generators=own)
        errors.append(decode(model, latent, query[:, k:]).error)
    return errors


def infer(model: WorldModel, trials: Trials, seed: int) -> Latent:
    """Return the posterior's latents of the whole sequence (B T ...): here the model sees every frame."""
    return model.observe(trials.batch, generators=generators(seed, trials.indices, INFERENCE)).latent


def decode(
    model: WorldModel, latent: Latent, truth: Tensor, keep: Collection[int] = (), tiles: Tensor | None = None
) -> Decoded:
    """Decode latents (B T ...) a stretch of time at once and compare the images with `truth` (B T C H W) uint8.

    Args:
        model: whose latents they are.
        latent: to decode.
        truth: the true images.
        keep: steps whose images are returned.
        tiles: (B T D) the doors' places, whose states are read (doors.py).
    """
    errors, kept, read, rewards = [], [], [], []
    for start in range(0, truth.shape[1], STEPS_AT_ONCE):
        window = slice(start, start + STEPS_AT_ONCE)
        image, reward, _ = model.predict(Latent(*(x[:, window] for x in latent)))
        rewards.append(reward)
        errors.append(squared_error(image, truth[:, window]))
        kept.append(image[:, [step - start for step in sorted(keep) if start <= step < start + STEPS_AT_ONCE]])
        if tiles is not None:
            read.append(doors.read(image, tiles[:, window]))
    error = torch.cat(errors, 1)
    if not error.isfinite().all():
        step = int((~error.isfinite()).any(0).nonzero()[0])
        raise ValueError(f"the model's images are not finite from step {step} on; evaluate an earlier checkpoint")
    return Decoded(error, torch.cat(kept, 1), torch.cat(read, 1) if read else None, torch.cat(rewards, 1))
