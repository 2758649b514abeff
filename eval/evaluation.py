"""The examination of a model over many episodes, on one process or several: same episodes, same draws, same figures.

Axes: T time, Q query steps, K pictured steps, H height, W width, C channels, N evaluated episodes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from accelerate import PartialState
from torchmetrics import SumMetric
from tqdm import tqdm

from ..worldmodels.base import WorldModel
from . import imagination, trials
from .imagination import Outcome
from .metrics import Accuracy, Errors, RewardAccuracy, SquaredError
from .trials import EpisodeSource, Layout, Trials

PICTURED_EPISODES = 3  # the first ones: no choice, so no flattery
PICTURED_STEPS = 8  # of the query, first and last among them
PICTURED_CONTEXT = 2  # last frames of the context
GENERATED = ("generation", "copy_last", "mean_context")  # of the query; reconstruction is of the whole sequence


class Measured(NamedTuple):
    """Squared errors over every step, and over the steps that are not padding."""

    every: Errors
    unpadded: Errors


class Picture(NamedTuple):
    """Frames of one episode, to be looked at."""

    episode: int  # index in the data set
    context: np.ndarray  # (PICTURED_CONTEXT H W C) uint8, what the model saw last
    truth: np.ndarray  # (K H W C) uint8
    imagined: np.ndarray  # (K H W C) float, clipped to [0, 1] for the eye
    steps: tuple[int, ...]  # (K) query steps, from 0


class Evaluation(NamedTuple):
    """All that was measured."""

    layout: Layout
    indices: tuple[int, ...]  # (N) the evaluated episodes
    generation: Measured  # (Q) imagined from the context and the actions
    copy_last: Measured  # (Q) floor: the last context frame
    mean_context: Measured  # (Q) floor: the mean context frame
    reconstruction: Measured  # (T) posterior, the model sees every frame
    imagined_reward: Accuracy
    inferred_reward: Accuracy
    teleported: int  # episodes whose query starts from an earlier pose that the model is not told
    pictures: tuple[Picture, ...]


class _Tally:
    """The metrics of one evaluation."""

    def __init__(self, layout: Layout, episodes: int, device: torch.device) -> None:
        steps = dict.fromkeys(GENERATED, layout.query) | {"reconstruction": layout.length}
        self.every = {name: SquaredError(size, episodes).to(device) for name, size in steps.items()}
        self.unpadded = {name: SquaredError(size, episodes).to(device) for name, size in steps.items()}
        self.imagined, self.inferred = RewardAccuracy().to(device), RewardAccuracy().to(device)
        self.teleported = SumMetric().to(device)

    def update(self, outcome: Outcome, batch: Trials) -> None:
        for name in self.every:
            error = getattr(outcome, name)
            real = ~batch.pad[:, -error.shape[1] :]  # the query's share, or all of it
            self.every[name].update(error, torch.ones_like(real), batch.rows)
            self.unpadded[name].update(error, real, batch.rows)
        self.imagined.update(outcome.reward_imagined, outcome.reward_true)
        self.inferred.update(outcome.reward_inferred, outcome.reward_true)
        self.teleported.update(batch.teleported)

    def errors(self) -> dict[str, Measured]:
        return {name: Measured(self.every[name].compute(), self.unpadded[name].compute()) for name in self.every}


def evaluate(
    model: WorldModel,
    source: EpisodeSource,
    indices: Sequence[int],
    *,
    seed: int = 0,
    batch_size: int = 8,
    device: torch.device | str = "cpu",
    progress: bool = False,
) -> Evaluation:
    """Examine `model`, which is put in evaluation mode and moved to `device`, on episodes `indices` of `source`.

    Batches are consecutive runs of `batch_size` episodes, dealt in turn to the processes; the last may be smaller.
    Every process returns the same figures; `pictures` are those of the process's own first batches.

    Raises:
        ValueError: there is no episode, an episode has no query or another layout, or the model's images do not fit.
    """
    if not len(indices) or batch_size < 1:
        raise ValueError(f"{len(indices)} episodes in batches of {batch_size} are nothing to evaluate; give 1 or more")
    state, device = PartialState(), torch.device(device)
    layout = trials.layout(source.episode(indices[0]))
    tally = _Tally(layout, len(indices), device)
    steps = pictured_steps(layout.query)
    model = model.to(device).eval()
    pictures: list[Picture] = []
    starts = range(0, len(indices), batch_size)[state.process_index :: state.num_processes]
    for start in tqdm(starts, "evaluating", unit="batch", disable=not (progress and state.is_main_process)):
        rows = range(start, min(start + batch_size, len(indices)))
        batch = trials.load(source, [indices[row] for row in rows], rows, layout).to(device)
        outcome = imagination.run(model, batch, seed, steps)
        tally.update(outcome, batch)
        pictures += _pictures(outcome, batch, steps, PICTURED_EPISODES - len(pictures))
    return Evaluation(
        layout=layout,
        indices=tuple(indices),
        **tally.errors(),
        imagined_reward=tally.imagined.compute(),
        inferred_reward=tally.inferred.compute(),
        teleported=int(tally.teleported.compute()),
        pictures=tuple(pictures),
    )


def pictured_steps(query: int) -> tuple[int, ...]:
    """Return the query steps that are drawn: evenly spaced, first and last among them."""
    return tuple(int(step) for step in np.unique(np.linspace(0, query - 1, PICTURED_STEPS).round()))


def _pictures(outcome: Outcome, batch: Trials, steps: tuple[int, ...], count: int) -> list[Picture]:
    first = max(0, batch.context - PICTURED_CONTEXT)
    truth = batch.batch.obs.movedim(2, -1)  # (B T H W C)
    imagined = outcome.frames.clamp(0, 1).movedim(2, -1)  # (B K H W C)
    asked = [batch.context + step for step in steps]
    return [
        Picture(
            index,
            truth[row, first : batch.context].cpu().numpy(),
            truth[row, asked].cpu().numpy(),
            imagined[row].float().cpu().numpy(),
            steps,
        )
        for row, index in enumerate(batch.indices[:count])
    ]
