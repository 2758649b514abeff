"""The metrics: squared error per step and reward accuracy, summed over batches and over processes.

The unit of the squared error: summed over H, W and C, on images in [0, 1]; or over F, on vectors as they are.
Predictions are NOT clipped to [0, 1].

Axes: B batch, T time, H height, W width, C channels, F features, N evaluated episodes; the axes of an observation are
(...).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torchmetrics import Metric

from . import intervals
from .intervals import Interval

STEPS_AT_ONCE = 16  # bounds the float64 copies of the images


def on_scale(obs: Tensor) -> Tensor:
    """Return observations (...) in the unit of predictions, float32: images uint8 on [0, 1], vectors as they are."""
    return obs.float() / 255 if obs.dtype == torch.uint8 else obs.float()


def squared_error(prediction: Tensor, truth: Tensor) -> Tensor:
    """Return the squared error of each observation, summed over pixels and channels, or over features.

    Args:
        prediction: (B T C H W) float, on the scale of [0, 1]; or (B T F).
        truth: (B T C H W) uint8; or (B T F) float32.

    Returns:
        (B T) float64.
    """
    if prediction.shape != truth.shape:
        raise ValueError(
            f"predicted images have shape {tuple(prediction.shape)}, the true ones {tuple(truth.shape)} (B T C H W); "
            "evaluate the model on the kind of data that it was trained on"
        )
    pairs = zip(prediction.split(STEPS_AT_ONCE, 1), truth.split(STEPS_AT_ONCE, 1), strict=True)
    return torch.cat([(p.float() - on_scale(x)).double().square().flatten(2).sum(2) for p, x in pairs], 1)


class Errors(NamedTuple):
    """Squared errors summed per step and per episode, with the number of frames in each sum."""

    step_total: np.ndarray  # (T) float64
    step_count: np.ndarray  # (T) int64
    episode_total: np.ndarray  # (N) float64
    episode_count: np.ndarray  # (N) int64

    @property
    def mse(self) -> float:
        """Mean over all counted frames."""
        return self.window(0)

    @property
    def from_second(self) -> float:
        """Mean over the counted frames but the first step's.

        The headline of reconstruction: the objective of S4WM and TSSM starts at the second step, so nothing teaches
        them to draw the first.
        """
        return self.window(1)

    @property
    def curve(self) -> np.ndarray:
        """Mean per step (T); NaN where no frame was counted."""
        return _ratio(self.step_total, self.step_count)

    @property
    def episodes(self) -> np.ndarray:
        """Mean per episode (N); NaN where no frame was counted."""
        return _ratio(self.episode_total, self.episode_count)

    def window(self, start: int) -> float:
        """Return the mean over the counted frames from step `start` on; NaN where there is none."""
        return float(_ratio(self.step_total[start:].sum(), self.step_count[start:].sum()))


def _ratio(total: np.ndarray, count: np.ndarray) -> np.ndarray:
    with np.errstate(invalid="ignore"):
        return total / count


class SquaredError(Metric):
    """Accumulates the squared errors of frames, for episodes of `steps` steps of which there are `episodes`.

    Every state is a sum, so processes agree whichever of them saw which episode.
    """

    full_state_update = False
    step_total: Tensor
    step_count: Tensor
    episode_total: Tensor
    episode_count: Tensor

    def __init__(self, steps: int, episodes: int) -> None:
        super().__init__()
        for name, size in (("step", steps), ("episode", episodes)):
            self.add_state(f"{name}_total", torch.zeros(size, dtype=torch.float64), dist_reduce_fx="sum")
            self.add_state(f"{name}_count", torch.zeros(size, dtype=torch.int64), dist_reduce_fx="sum")

    def update(self, error: Tensor, counted: Tensor, rows: Tensor, steps: Tensor | None = None) -> None:
        """Add a batch.

        Args:
            error: (B T) float64, from `squared_error`.
            counted: (B T) bool, frames that count.
            rows: (B) int64, which of the N evaluated episodes each row is.
            steps: (T) int64, which of the metric's steps these are, each once; None: its first ones.
        """
        error = torch.where(counted, error, 0.0)
        steps = torch.arange(error.shape[1], device=error.device) if steps is None else steps
        self.step_total[steps] += error.sum(0)
        self.step_count[steps] += counted.sum(0)
        self.episode_total[rows] += error.sum(1)
        self.episode_count[rows] += counted.sum(1)

    def compute(self) -> Errors:
        """Return the sums over all batches and processes."""
        states = (self.step_total, self.step_count, self.episode_total, self.episode_count)
        return Errors(*(state.cpu().numpy() for state in states))


class Accuracy(NamedTuple):
    """How often the final reward was told right. Counts of episodes; truth first, then the prediction."""

    zero_zero: int  # no reward, and none predicted
    zero_one: int
    one_zero: int
    one_one: int

    @property
    def episodes(self) -> int:
        """N, the number of episodes."""
        return sum(self)

    @property
    def rewarded(self) -> int:
        """How many episodes end with a reward."""
        return self.one_zero + self.one_one

    @property
    def interval(self) -> Interval:
        """The share of right predictions with its 95 % interval."""
        return intervals.proportion(self.zero_zero + self.one_one, self.episodes)

    @property
    def majority(self) -> float:
        """The accuracy of always predicting the more frequent outcome of these episodes."""
        return max(self.rewarded, self.episodes - self.rewarded) / self.episodes


class RewardAccuracy(Metric):
    """Counts right and wrong predictions of a binary reward."""

    full_state_update = False
    confusion: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.add_state("confusion", torch.zeros(4, dtype=torch.int64), dist_reduce_fx="sum")

    def update(self, predicted: Tensor, truth: Tensor) -> None:
        """Add a batch: both (B) bool, True for a reward."""
        self.confusion += torch.bincount(2 * truth.long() + predicted.long(), minlength=4)

    def compute(self) -> Accuracy:
        """Return the counts over all batches and processes."""
        return Accuracy(*self.confusion.tolist())
