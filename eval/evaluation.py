"""The examination of models over many episodes, on one process or several: same episodes, same draws, same figures.

Several models are examined on the same batches, so that episodes are read, and floors computed, once.

Axes: T time, Q query steps, K pictured steps, H height, W width, C channels, N evaluated episodes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from accelerate import PartialState

from ..datasets.bar import progress_bar
from ..datasets.episode import EpisodeSpec
from ..worldmodels.base import WorldModel
from . import imagination, recall, trials
from .floors import floors
from .imagination import Outcome
from .metrics import Accuracy
from .reasoning import Reasoning
from .recall import Recall
from .tally import FloorTally, Measured, ModelTally
from .trials import EpisodeSet, Layout, Trials

PICTURED_EPISODES = 3  # the first ones: no choice, so no flattery
PICTURED_STEPS = 8  # of the query, first and last among them
PICTURED_CONTEXT = 2  # last frames of the context


class Picture(NamedTuple):
    """Frames of one episode, to be looked at."""

    episode: int  # index in the data set
    context: np.ndarray  # (PICTURED_CONTEXT H W C) uint8, what the model saw last
    truth: np.ndarray  # (K H W C) uint8
    imagined: np.ndarray  # (K H W C) float, clipped to [0, 1] for the eye
    steps: tuple[int, ...]  # (K) query steps, from 0


class Evaluation(NamedTuple):
    """All that was measured. What the data do not have is None."""

    layout: Layout
    indices: tuple[int, ...]  # (N) the evaluated episodes
    generation: Measured  # (Q) imagined from the context and the actions
    copy_last: Measured  # (Q) floor: the last context frame
    mean_context: Measured  # (Q) floor: the mean context frame
    nearest_pose: Measured | None  # (Q) oracle: the context frame seen nearest to the true pose; None without poses
    reconstruction: Measured  # (T) posterior, the model sees every frame
    imagined_reward: Accuracy
    inferred_reward: Accuracy
    recall: Recall | None  # None where no episode is teleported
    reasoning: Reasoning | None  # None where there are no doors to read
    door_floors: dict[str, Reasoning]  # {"copy_last", ...: the same of their frames}; empty where there are no doors
    teleported: int  # episodes whose query starts from an earlier pose that the model is not told
    pictures: tuple[Picture, ...]

    @property
    def doors_in_view(self) -> int:
        """How many doors in view there are to be told, over all steps and episodes."""
        return 0 if self.reasoning is None else self.reasoning.seen.cases


def evaluate(
    model: WorldModel,
    source: EpisodeSet,
    indices: Sequence[int],
    *,
    seed: int = 0,
    batch_size: int = 8,
    given: Sequence[int] | None = None,
    device: torch.device | str = "cpu",
    progress: bool = False,
) -> Evaluation:
    """Examine one model; see `evaluate_all`."""
    [found] = evaluate_all(
        [model], source, indices, seed=seed, batch_size=batch_size, given=given, device=device, progress=progress
    )
    return found


def evaluate_all(
    models: Sequence[WorldModel],
    source: EpisodeSet,
    indices: Sequence[int],
    *,
    seed: int = 0,
    batch_size: int = 8,
    given: Sequence[int] | None = None,
    device: torch.device | str = "cpu",
    progress: bool = False,
) -> list[Evaluation]:
    """Examine `models`, which are put in evaluation mode and moved to `device`, on episodes `indices` of `source`.

    Batches are runs of `batch_size` episodes of one length, dealt in turn to the processes; the last may be smaller.
    Where lengths differ, curves over the query are means over the episodes that are long enough.
    Every process returns the same figures; `pictures` are those of the process's own first batches.

    Args:
        models: of any family.
        source: of the episodes.
        indices: of the episodes.
        seed: of the models' draws; what a model draws depends on nothing else.
        batch_size: episodes at once on each process.
        given: frames shown after a teleport (recall.py); None: as there. Nothing: recall is left out.
        device: to work on.
        progress: whether to show a bar.

    Raises:
        ValueError: there is no episode, an episode has no query or is of another kind, a model's images do not fit, or
            `given` does not.
    """
    if not len(indices) or batch_size < 1:
        raise ValueError(f"{len(indices)} episodes in batches of {batch_size} are nothing to evaluate; give 1 or more")
    state, device = PartialState(), torch.device(device)
    extents = [source.extent(index) for index in indices]
    first = trials.layout(source.episode(indices[0]))
    layout, ks = trials.longest(extents, first), recall.chosen(given, min(extent.query for extent in extents))
    models = [model.to(device).eval() for model in models]
    shared = FloorTally(layout, len(indices), ks, device)
    tallies = [ModelTally(layout, len(indices), ks, device) for _ in models]
    pictures: list[list[Picture]] = [[] for _ in models]
    batches = side_by_side(extents, batch_size)[state.process_index :: state.num_processes]
    with progress_bar(
        total=len(batches) * len(models),
        desc="evaluating",
        unit="batch",
        disable=not (progress and state.is_main_process),
    ) as bar:
        for rows in batches:
            extent = extents[rows[0]]
            expected = first._replace(context=extent.context, length=extent.length)
            batch = trials.load(source, [indices[row] for row in rows], rows, expected).to(device)
            steps = pictured_steps(extent.query)
            shared.update(floors(batch, ks), batch)
            for model, tally, seen in zip(models, tallies, pictures, strict=True):
                outcome = imagination.run(model, batch, seed, steps, ks)
                tally.update(outcome, batch)
                seen += _pictures(outcome, batch, steps, PICTURED_EPISODES - len(seen))
                bar.update()
    below = shared.compute()
    return [
        Evaluation(
            layout=layout,
            indices=tuple(indices),
            copy_last=below.copy_last,
            mean_context=below.mean_context,
            nearest_pose=below.nearest_pose,
            door_floors=below.doors,
            teleported=below.teleported,
            pictures=tuple(seen),
            **tally.compute(ks, below)._asdict(),
        )
        for tally, seen in zip(tallies, pictures, strict=True)
    ]


def side_by_side(extents: Sequence[EpisodeSpec], batch_size: int) -> list[list[int]]:
    """Return the positions of episodes that make a batch each: at most `batch_size`, of one length, in their order."""
    alike: dict[EpisodeSpec, list[int]] = {}
    for row, extent in enumerate(extents):
        alike.setdefault(extent, []).append(row)
    return [rows[start : start + batch_size] for rows in alike.values() for start in range(0, len(rows), batch_size)]


def pictured_steps(query: int) -> tuple[int, ...]:
    """Return the query steps that are drawn: evenly spaced, first and last among them."""
    return tuple(int(step) for step in np.unique(np.linspace(0, query - 1, PICTURED_STEPS).round()))


def _pictures(outcome: Outcome, batch: Trials, steps: tuple[int, ...], count: int) -> list[Picture]:
    if batch.batch.obs.ndim == 3:  # vectors are drawn as curves (curves.py)
        return []
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
