"""The metrics of an evaluation: those of the floors, which all models share, and those of one model.

Axes: T time, Q query steps, N evaluated episodes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torchmetrics import SumMetric

from .floors import Floors
from .imagination import Outcome
from .metrics import Accuracy, Errors, RewardAccuracy, SquaredError
from .reasoning import DoorAccuracy, Reasoning
from .recall import Recall, RecallCurve, RecallError
from .trials import Layout, Trials


class Measured(NamedTuple):
    """Squared errors over every step, and over the steps that are not padding."""

    every: Errors
    unpadded: Errors


class FloorFigures(NamedTuple):
    """What the floors and the oracle score."""

    copy_last: Measured
    mean_context: Measured
    nearest_pose: Measured | None
    recall: dict[str, RecallCurve | None]  # the same three
    doors: dict[str, Reasoning]  # of the same; empty where there are no doors
    teleported: int


class ModelFigures(NamedTuple):
    """What a model scores; fields of `Evaluation`."""

    generation: Measured
    reconstruction: Measured
    imagined_reward: Accuracy
    inferred_reward: Accuracy
    recall: Recall | None
    reasoning: Reasoning | None


class _Frames:
    """Squared errors of frames, with and without padding."""

    def __init__(self, steps: int, episodes: int, device: torch.device) -> None:
        self.every, self.unpadded = (SquaredError(steps, episodes).to(device) for _ in range(2))

    def update(self, error: Tensor, batch: Trials, steps: Tensor | None = None) -> None:
        real = ~batch.pad[:, -error.shape[1] :]  # the query's share, or all of it
        self.every.update(error, torch.ones_like(real), batch.rows, steps)
        self.unpadded.update(error, real, batch.rows, steps)

    def compute(self) -> Measured:
        return Measured(self.every.compute(), self.unpadded.compute())


class FloorTally:
    """The floors' metrics."""

    def __init__(self, layout: Layout, episodes: int, given: Sequence[int], device: torch.device) -> None:
        names = ["copy_last", "mean_context", *(["nearest_pose"] if layout.posed else [])]
        self.frames = {name: _Frames(layout.query, episodes, device) for name in names}
        self.recall = {name: RecallError(given, episodes).to(device) for name in names}
        self.doors = {name: DoorAccuracy(layout.query, episodes).to(device) for name in names if layout.doors}
        self.teleported = SumMetric().to(device)

    def update(self, found: Floors, batch: Trials) -> None:
        """Add a batch."""
        for name, frames in self.frames.items():
            frames.update(getattr(found, name), batch)
        for name, metric in self.recall.items():
            metric.update(found.recall.get(name, []), recall_counts(batch), batch.rows)
        for name, read in found.doors.items():
            assert batch.doors is not None
            self.doors[name].update(read, batch.doors, batch.rows)
        self.teleported.update(batch.teleported.sum())

    def compute(self) -> FloorFigures:
        """Return the figures of all processes."""
        measured = {name: frames.compute() for name, frames in self.frames.items()}
        return FloorFigures(
            measured["copy_last"],
            measured["mean_context"],
            measured.get("nearest_pose"),
            {name: metric.compute() for name, metric in self.recall.items()},
            {name: metric.compute() for name, metric in self.doors.items()},
            int(self.teleported.compute()),
        )


class ModelTally:
    """One model's metrics."""

    def __init__(self, layout: Layout, episodes: int, given: Sequence[int], device: torch.device) -> None:
        self.context = layout.context
        self.generation = _Frames(layout.query, episodes, device)
        self.reconstruction = _Frames(layout.length, episodes, device)
        self.imagined, self.inferred = RewardAccuracy().to(device), RewardAccuracy().to(device)
        self.recall = RecallError(given, episodes).to(device)
        self.doors = DoorAccuracy(layout.query, episodes).to(device) if layout.doors else None

    def update(self, outcome: Outcome, batch: Trials) -> None:
        """Add a batch."""
        self.generation.update(outcome.generation, batch)
        self.reconstruction.update(outcome.reconstruction, batch, _places(batch, self.context))
        self.imagined.update(outcome.reward_imagined, outcome.reward_true)
        self.inferred.update(outcome.reward_inferred, outcome.reward_true)
        self.recall.update(outcome.recall, recall_counts(batch), batch.rows)
        if self.doors is not None and batch.doors is not None and outcome.doors is not None:
            self.doors.update(outcome.doors, batch.doors, batch.rows)

    def compute(self, given: tuple[int, ...], floors: FloorFigures) -> ModelFigures:
        """Return the figures of all processes."""
        curve, copied, mean = self.recall.compute(), floors.recall["copy_last"], floors.recall["mean_context"]
        recalled = None
        if curve is not None and copied is not None and mean is not None:
            recalled = Recall(given, curve, copied, mean, floors.recall.get("nearest_pose"), floors.teleported)
        return ModelFigures(
            self.generation.compute(),
            self.reconstruction.compute(),
            self.imagined.compute(),
            self.inferred.compute(),
            recalled,
            None if self.doors is None else self.doors.compute(),
        )


def _places(batch: Trials, context: int) -> Tensor:
    """Return where the steps of shorter episodes (T) are counted: the first is the first, queries begin together."""
    steps = torch.arange(batch.pad.shape[1], device=batch.pad.device)
    return torch.where(steps > 0, steps + context - batch.context, 0)


def recall_counts(batch: Trials) -> Tensor:
    """Return which frames of the query recall counts, (B Q) bool: those of teleported episodes, without padding."""
    return batch.teleported[:, None] & ~batch.pad[:, batch.context :]
