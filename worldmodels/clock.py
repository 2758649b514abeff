"""Time: the clock of a run, by which runs of equal wall time are compared, and how long a row takes."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from ..datasets.batch import Batch
from .base import WorldModel


class TrainingClock:
    """Seconds of wall time spent on training steps and on waiting for their data; it goes on when a run is resumed.

    Attributes:
        device: whose queued work is waited for before the clock is stopped.
    """

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self._before = 0.0  # seconds up to the last start
        self._started: float | None = None  # None: stopped

    @property
    def seconds(self) -> float:
        """What the clock reads."""
        return self._before + (0.0 if self._started is None else time.perf_counter() - self._started)

    def set(self, seconds: float) -> None:
        """Have a stopped clock read `seconds`."""
        self._before = seconds

    @contextmanager
    def running(self) -> Iterator[None]:
        """Let the clock run."""
        self._started = time.perf_counter()
        yield
        self._stop()

    @contextmanager
    def stopped(self) -> Iterator[None]:
        """Keep the clock from counting what is no training."""
        self._stop()
        yield
        self._started = time.perf_counter()

    def _stop(self) -> None:
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)
        self._before, self._started = self.seconds, None


def seconds_a_row(model: WorldModel, row: Batch) -> float:
    """Time the training of a batch of one row. Draws nothing, and leaves no gradients."""
    with torch.random.fork_rng([]):
        model(row).total.backward()
        began = time.perf_counter()
        model(row).total.backward()
        seconds = time.perf_counter() - began
    model.zero_grad(set_to_none=True)
    return seconds
