"""What a sweep shows while it works: a bar of the steps of all its runs, which of them train, the time left."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence

from tqdm import tqdm

from ..datasets.bar import progress_bar
from .plan import Run, SweepConfig
from .progress import reached
from .schedule import Deadline

PACE = 1.0 if sys.stderr.isatty() else 30.0  # seconds between looks into the run folders


class Watch:
    """A bar on stderr."""

    def __init__(self, config: SweepConfig, deadline: Deadline) -> None:
        self.config, self.deadline = config, deadline
        self.runs = {run.name: run for run in config.runs()}
        self.steps = {name: min(reached(run), config.steps_of(run)) for name, run in self.runs.items()}
        total = sum(map(config.steps_of, self.runs.values()))
        done = sum(self.steps.values())
        # smoothing=0: the time left goes by the average of this call. By the last look it is far too short where looks
        # are more frequent than steps
        self.bar = progress_bar(total=total, initial=done, unit="step", dynamic_ncols=True, smoothing=0)
        self._looked = time.monotonic()

    def __enter__(self) -> Watch:
        return self

    def __exit__(self, *_: object) -> None:
        self._show(list(self.runs.values()))
        self.bar.close()

    def look(self, running: Sequence[str]) -> None:
        """Show how far the running runs are, if the last look is a while ago."""
        if time.monotonic() - self._looked < PACE:
            return
        self._looked = time.monotonic()
        found = [self.runs[name] for name in running if name in self.runs]
        self._show(found)
        self.bar.set_postfix_str(self._text(found), refresh=False)

    def _show(self, runs: Sequence[Run]) -> None:
        """Look how far runs are, and move the bar."""
        for run in runs:
            self.steps[run.name] = min(reached(run), self.config.steps_of(run))
        self.bar.update(sum(self.steps.values()) - self.bar.n)

    def _text(self, running: Sequence[Run]) -> str:
        parts = [f"{run.name} {self.steps[run.name]:,}/{self.config.steps_of(run):,}" for run in running]
        left = self.deadline.minutes_left
        return ", ".join(parts if left is None else [*parts, f"{left:.0f} min left"])


def say(text: str) -> None:
    """Print a line at once, also where the output is a file, above the bar."""
    tqdm.write(text, file=sys.stdout)
    sys.stdout.flush()
