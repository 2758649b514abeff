"""Work in child processes that a signal or the clock may end: what runs then saves, and nothing more begins."""

from __future__ import annotations

import signal
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

from ..worldmodels.interrupt import StopRequest
from .children import Children, Stopped
from .schedule import Deadline, Job, Schedule
from .watch import say


class Session:
    """A call of a command that starts others.

    Attributes:
        signal: that ended it, if one did.
        late: whether its time was over before its work.
    """

    def __init__(self, threads: int, deadline: Deadline | None = None) -> None:
        self.children, self.deadline = Children(threads), deadline or Deadline()
        self.signal: int | None = None
        self.late = False
        self._stop = StopRequest()

    def __enter__(self) -> Session:
        self._stop.__enter__()
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> bool:
        self._stop.__exit__()
        if kind is Stopped:
            say(f"{'the time is over' if self.late else 'stopped'}; the same command goes on from here")
        return kind is Stopped

    def do(
        self,
        jobs: Sequence[Job],
        at_once: int,
        failed: Callable[[str, BaseException], None],
        watch: Callable[[Sequence[str]], None] | None = None,
    ) -> None:
        """Do jobs, some at once.

        Args:
            jobs: the most urgent first.
            at_once: how many.
            failed: takes the name and the error of a job that raised one.
            watch: takes the names that are at work, every fraction of a second.

        Raises:
            Stopped: a signal came, or the time is over; what ran has saved and ended.
        """

        def look(running: list[str]) -> bool:
            self._end()
            if watch is not None:
                watch(running)
            return self.children.stopping

        with ThreadPoolExecutor(at_once) as pool:
            try:
                Schedule(jobs, pool, at_once, failed).run(look)
            except KeyboardInterrupt:  # a second Ctrl-C
                self.signal = signal.SIGINT
                self.children.stop(signal.SIGINT)
        self.children.check()

    def _end(self) -> None:
        """Stop the children, if that is asked for, once."""
        if self.children.stopping:
            return
        if self._stop.signal:
            self.signal = self._stop.signal
            self.children.stop(self._stop.signal)
        elif self.deadline.over:
            self.late = True
            self.children.stop(signal.SIGTERM)
