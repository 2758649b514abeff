"""Jobs in the order of a list, some at once, those of one name one after the other; and until when."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Executor, Future, wait
from typing import NamedTuple

TICK = 0.2  # seconds between looks around


class Job(NamedTuple):
    """Something to do."""

    name: str  # jobs of one name wait for each other; where one fails, the others of its name are left out
    do: Callable[[], None]


class Schedule:
    """Jobs in progress.

    Args:
        jobs: what to do, the most urgent first.
        pool: does them.
        at_once: how many may run beside each other, as many as the pool has threads.
        failed: takes the name and the error of a job that raised one.
    """

    def __init__(
        self, jobs: Sequence[Job], pool: Executor, at_once: int, failed: Callable[[str, BaseException], None]
    ) -> None:
        self.waiting, self.pool, self.at_once, self.failed = list(jobs), pool, at_once, failed
        self.running: dict[Future[None], str] = {}

    def run(self, look: Callable[[list[str]], bool]) -> None:
        """Do all jobs.

        Args:
            look: is called every fraction of a second with the names that run; returns whether nothing more may begin.
        """
        while self.waiting or self.running:
            if look(list(self.running.values())):
                self.waiting.clear()
            while len(self.running) < self.at_once and (job := self._next()):
                self.running[self.pool.submit(job.do)] = job.name
            self._collect()

    def _next(self) -> Job | None:
        """Take the first job out whose name is not at work."""
        busy = set(self.running.values())
        job = next((job for job in self.waiting if job.name not in busy), None)
        if job is not None:
            self.waiting.remove(job)
        return job

    def _collect(self) -> None:
        """Wait a moment for jobs to end, and note how they did."""
        for future in wait(self.running, TICK, FIRST_COMPLETED).done:
            name, error = self.running.pop(future), future.exception()
            if error is not None:
                self.waiting = [job for job in self.waiting if job.name != name]
                self.failed(name, error)


class Deadline:
    """A moment at which work ends.

    Args:
        minutes: from now; None: never.
    """

    def __init__(self, minutes: float | None = None) -> None:
        self.at = None if minutes is None else time.monotonic() + 60 * minutes

    @property
    def minutes_left(self) -> float | None:
        """How long there is; None: for ever."""
        return None if self.at is None else max(0.0, (self.at - time.monotonic()) / 60)

    @property
    def over(self) -> bool:
        """Whether it is past."""
        return self.minutes_left == 0.0
