"""Context-dependent recall: after a teleport into its own past, how many observations does a model need to find itself?

The query of a teleported episode starts from an earlier pose that the model is not told; the frames that follow are
those of the context once more. The model is shown the context and then the first k frames of the query, and imagines
the rest from its actions alone. Two averages of its squared error are given for every k:

    rest    over all that it imagined, the query's steps from k on: the generation MSE of this k
    common  over the steps that it imagines for every k, from the largest k on: here the same frames are compared

The paper says "generation MSE" and no more, which is `rest`. Steps that only fill an episode up do not count. The
floors see what the model was shown, the context and the k frames; the oracle replays frames of the context, in which a
true teleport has shown all that follows it.

Axes: B batch, Q query steps, K values of k, N evaluated episodes, C channels, H height, W width.

Source: S4WM, section 5.4 and Figure 6.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torchmetrics import Metric

from . import intervals
from .intervals import Interval

GIVEN = (0, 1, 2, 5, 10, 20)  # frames shown after the teleport; the paper goes to 20. Each k costs another imagination
REST, COMMON = 0, 1


class RecallCurve(NamedTuple):
    """Squared error by the number of frames shown after the teleport, with 95 % intervals over the episodes."""

    rest: tuple[Interval, ...]  # (K) over all that was imagined
    common: tuple[Interval, ...]  # (K) over the steps that were imagined for every k


class Recall(NamedTuple):
    """What was recalled after a teleport."""

    given: tuple[int, ...]  # (K) frames shown after the teleport, ascending
    model: RecallCurve
    copy_last: RecallCurve  # floor: the last frame shown
    mean_context: RecallCurve  # floor: the mean of all frames shown
    nearest_pose: RecallCurve | None  # oracle: the context frame seen nearest to the true pose; None without poses
    episodes: int  # that were teleported


def chosen(given: Sequence[int] | None, query: int) -> tuple[int, ...]:
    """Return the values of k for a query of `query` steps: those asked for, or as many of `GIVEN` as fit.

    Raises:
        ValueError: one that was asked for leaves nothing to imagine, or is negative.
    """
    if given is None:
        return tuple(k for k in GIVEN if k < query)
    for k in given:
        if not 0 <= k < query:
            raise ValueError(f"{k} frames after the teleport: the query has {query}, so give 0 to {query - 1}")
    return tuple(sorted(set(given)))


class RecallError(Metric):
    """Accumulates squared errors by k and episode. Every state is a sum, so processes agree."""

    full_state_update = False
    total: Tensor
    count: Tensor

    def __init__(self, given: Sequence[int], episodes: int) -> None:
        super().__init__()
        shape = (2, len(given), episodes)  # rest and common
        self.add_state("total", torch.zeros(shape, dtype=torch.float64), dist_reduce_fx="sum")
        self.add_state("count", torch.zeros(shape, dtype=torch.int64), dist_reduce_fx="sum")

    def update(self, errors: Sequence[Tensor], counted: Tensor, rows: Tensor) -> None:
        """Add a batch.

        Args:
            errors: K of (B Q-k) float64, k ascending: the steps that were imagined. None: nothing is added.
            counted: (B Q) bool, frames that count.
            rows: (B) int64, which of the N evaluated episodes each row is.
        """
        shared = errors[-1].shape[1] if errors else 0
        for place, error in enumerate(errors):
            for kind, steps in ((REST, error.shape[1]), (COMMON, shared)):
                real = counted[:, -steps:]
                self.total[kind, place, rows] += torch.where(real, error[:, -steps:], 0.0).sum(1)
                self.count[kind, place, rows] += real.sum(1)

    def compute(self) -> RecallCurve | None:
        """Return the means over all batches and processes; None where no frame was counted."""
        total, count = self.total.cpu().numpy(), self.count.cpu().numpy()
        if not count.any():
            return None
        return RecallCurve(*(_intervals(*pair) for pair in zip(total, count, strict=True)))


def _intervals(total: np.ndarray, count: np.ndarray) -> tuple[Interval, ...]:
    """Return the means over episodes of (K N) sums; not a number where nothing was counted."""
    there = [(t[c > 0], c[c > 0]) for t, c in zip(total, count, strict=True)]
    return tuple(intervals.mean(t / c) if len(t) else Interval(*[math.nan] * 3) for t, c in there)
