"""Memory-based reasoning: are the doors of an imagined world in the state in which they have to be by now?

Read from the imagined frames alone: the picture at a door's place is called closed, open or neither after the nearest
of the environment's own tiles (doors.py). Neither is wrong. Counted over the query, padding left out:

    seen     every door in view at every step
    tried    a locked door at the first frame after the agent tried it: did the model know what comes of it?
    opened   of these, the doors that opened
    refused  of these, the doors that stayed locked
    kept     a door that was opened, at the last step at which it is in view: is it still open at the end?

Beside them stand always to answer "closed" (what the context showed), always "open", and what the frames of the floors
and of the nearest pose show (floors.py).

Axes: B batch, Q query steps, N evaluated episodes, D doors, E kinds of events.

Source: S4WM, section 5.6, where the generation MSE alone stands for the doors' states.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torchmetrics import Metric

from . import intervals
from .doors import Doors
from .intervals import Interval

KINDS = ("seen", "tried", "opened", "refused", "kept")  # E


class Told(NamedTuple):
    """How often a door's state was told right."""

    cases: int
    right: int
    open: int  # how many were open in truth
    interval: Interval  # of the share that is right; not a number where nothing was counted

    @property
    def always_open(self) -> float:
        """The floor of one who always answers "open"."""
        return self.open / self.cases if self.cases else float("nan")

    @property
    def always_closed(self) -> float:
        """The floor of one who always answers "closed"."""
        return 1 - self.always_open


class Reasoning(NamedTuple):
    """What was told of the doors; the kinds are the module's."""

    seen: Told
    tried: Told
    opened: Told
    refused: Told
    kept: Told
    per_step: np.ndarray  # (Q) share of `seen` that is right; NaN where no door is in view


class DoorAccuracy(Metric):
    """Counts right and wrong readings. Every state is a sum, so processes agree."""

    full_state_update = False
    right: Tensor
    count: Tensor
    open: Tensor
    step_right: Tensor
    step_count: Tensor

    def __init__(self, steps: int, episodes: int) -> None:
        super().__init__()
        kinds = len(KINDS)
        shapes = {"right": (kinds, episodes), "count": (kinds, episodes), "open": (kinds,)}
        for name, shape in (shapes | {"step_right": (steps,), "step_count": (steps,)}).items():
            self.add_state(name, torch.zeros(shape, dtype=torch.int64), dist_reduce_fx="sum")

    def update(self, read: Tensor, doors: Doors, rows: Tensor) -> None:
        """Add a batch.

        Args:
            read: (B Q D) states as doors.py reads them.
            doors: the truth.
            rows: (B) int64, which of the N evaluated episodes each row is.
        """
        right = read == doors.open
        for kind, mask in enumerate(_events(doors)):
            self.right[kind, rows] += (mask & right).sum((1, 2))
            self.count[kind, rows] += mask.sum((1, 2))
            self.open[kind] += (mask & doors.open).sum()
        self.step_right += (doors.seen & right).sum((0, 2))
        self.step_count += doors.seen.sum((0, 2))

    def compute(self) -> Reasoning:
        """Return the counts over all batches and processes."""
        right, count = self.right.cpu().numpy(), self.count.cpu().numpy()
        told = [
            Told(int(c.sum()), int(r.sum()), o, intervals.pooled(r, c))
            for r, c, o in zip(right, count, self.open.tolist(), strict=True)
        ]
        with np.errstate(invalid="ignore"):
            per_step = self.step_right.cpu().numpy() / self.step_count.cpu().numpy()
        return Reasoning(**dict(zip(KINDS, told, strict=True)), per_step=per_step)


def _events(doors: Doors) -> tuple[Tensor, ...]:
    """Return which doors at which steps are of each kind, in the order of `KINDS`: (B Q D) bool."""
    later = doors.seen.flip(1).cumsum(1).flip(1)  # sightings from this step on
    last = doors.seen & (later == 1)
    tried = doors.tried
    return doors.seen, tried, tried & doors.open, tried & ~doors.open, last & doors.open
