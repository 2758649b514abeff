"""Floors and oracle: what predictors of frames score that learn nothing. A model's figure says little without them.

The floors remember nothing: they show the last frame, or the mean frame. The oracle (oracle.py) is told the true poses.
They see what the model sees, the context frames, pad steps included, and in recall the frames after the teleport; the
oracle replays frames of the context only. Where there are doors, their states are read from the same frames.

Axes: B batch, T time, Q query steps, K values of k in recall, C channels, H height, W width, P values of an
observation, D doors.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from . import doors, oracle
from .metrics import on_scale, squared_error
from .trials import Trials

STEPS_AT_ONCE = 64  # bounds the float64 copies of the images


class Floors(NamedTuple):
    """Squared errors (B Q) float64, in the unit of `metrics`."""

    copy_last: Tensor
    mean_context: Tensor
    nearest_pose: Tensor | None  # None where poses are not told
    recall: dict[str, list[Tensor]]  # {the names above: K of (B Q-k)}; empty where no episode is teleported
    doors: dict[str, Tensor]  # {the same: (B Q D) int64, the states read (doors.py)}; empty where there are no doors


def floors(trials: Trials, given: Sequence[int]) -> Floors:
    """Return what the floors and the oracle score on a batch of episodes.

    Args:
        trials: the episodes.
        given: frames shown after a teleport, ascending.
    """
    context, query = trials.batch.obs.split([trials.context, trials.batch.obs.shape[1] - trials.context], 1)
    near = chosen = None
    if trials.poses is not None:
        seen, asked = trials.poses.split([context.shape[1], query.shape[1]], 1)
        chosen = oracle.nearest(seen, asked)
        near = oracle.replay_error(context, chosen, query)
    recalled = recall_floors(context, query, given) if given and trials.teleported.any() else {}
    if recalled and near is not None:
        recalled["nearest_pose"] = [near[:, k:] for k in given]
    return Floors(
        squared_error(copy_last(context, query.shape[1]), query),
        squared_error(mean_context(context, query.shape[1]), query),
        near,
        recalled,
        {} if trials.doors is None else door_floors(context, trials.doors.tile, chosen),
    )


def door_floors(context: Tensor, tile: Tensor, chosen: Tensor | None) -> dict[str, Tensor]:
    """Return the states that the floors' and the oracle's frames show at the doors' places: {name: (B Q D) int64}.

    Args:
        context: (B T C H W) uint8.
        tile: (B Q D) int64, where the doors are in the true frame.
        chosen: (B Q) int64, which frame of the context the oracle replays; None where poses are not told.
    """
    last, mean = copy_last(context, tile.shape[1]), mean_context(context, tile.shape[1])
    frames: dict[str, Callable[[slice], Tensor]] = {
        "copy_last": lambda w: last[:, w],
        "mean_context": lambda w: mean[:, w],
    }
    if chosen is not None:
        row = torch.arange(len(context), device=context.device)[:, None]
        frames["nearest_pose"] = lambda w: context[row, chosen[:, w]].float() / 255
    windows = [slice(start, start + STEPS_AT_ONCE) for start in range(0, tile.shape[1], STEPS_AT_ONCE)]
    return {name: torch.cat([doors.read(of(w), tile[:, w]) for w in windows], 1) for name, of in frames.items()}


def recall_floors(context: Tensor, query: Tensor, given: Sequence[int]) -> dict[str, list[Tensor]]:
    """Return the errors of the last and of the mean of the frames shown, for every k: {name: K of (B Q-k)}.

    Images are never subtracted: of |x - f|^2 = |x|^2 - 2 x f + |f|^2 every part is a sum of integers, exact in float64.
    Vectors (B T F) are treated alike.

    Args:
        context: (B T C H W) uint8.
        query: (B Q C H W) uint8, of which k frames are shown.
        given: the K values of k, ascending.
    """
    shown = [query[:, k - 1] if k else context[:, -1] for k in given]
    last = torch.stack([frame.flatten(1).double() for frame in shown], 1)  # (B K P)
    total = _total(context)
    mean = torch.stack([(total + _total(query[:, :k])).flatten(1) / (context.shape[1] + k) for k in given], 1)
    pairs = {"copy_last": last, "mean_context": mean}
    errors: dict[str, list[Tensor]] = {name: [] for name in pairs}
    for frames in query.split(STEPS_AT_ONCE, 1):
        x = frames.flatten(2).double()  # (B w P)
        for name, f in pairs.items():
            parts = x.square().sum(-1)[:, None] - 2 * f @ x.mT + f.square().sum(-1)[..., None]  # (B K w)
            errors[name].append(parts.clamp(min=0) / full(query) ** 2)  # round-off of an exact mean may be below 0
    whole = {name: torch.cat(parts, 2) for name, parts in errors.items()}
    return {name: [error[:, place, k:] for place, k in enumerate(given)] for name, error in whole.items()}


def copy_last(context: Tensor, query: int) -> Tensor:
    """Predict the last context frame for every query step: (B T C H W) uint8 -> (B Q C H W) float32 in [0, 1]."""
    return _repeat(on_scale(context[:, -1]), query)


def mean_context(context: Tensor, query: int) -> Tensor:
    """Predict the mean context frame for every query step: (B T C H W) uint8 -> (B Q C H W) float32 in [0, 1]."""
    return _repeat((_total(context) / (full(context) * context.shape[1])).float(), query)


def full(obs: Tensor) -> int:
    """Return what 1 of a prediction's scale is in observations: 255 of images, 1 of vectors."""
    return 255 if obs.dtype == torch.uint8 else 1


def _total(frames: Tensor) -> Tensor:
    """Return the sum of frames over time, exactly: (B T C H W) uint8 -> (B C H W) float64."""
    zero = torch.zeros(frames.shape[0], *frames.shape[2:], dtype=torch.float64, device=frames.device)
    return sum((part.sum(1, dtype=torch.float64) for part in frames.split(STEPS_AT_ONCE, 1)), zero)


def _repeat(frame: Tensor, query: int) -> Tensor:
    return frame[:, None].expand(-1, query, *frame.shape[1:])  # (B C H W) -> (B Q C H W), one frame in memory
