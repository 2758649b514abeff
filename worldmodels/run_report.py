"""What a run says of itself while it goes on: lines of metrics.jsonl and, where one was asked for, a tracker."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from accelerate import Accelerator

from .run_log import METRICS, RunLog


class RunReport:
    """Open in every process of a run; the main one writes.

    Args:
        accelerator: of this process; it was made with the tracker.
        out: the run folder.
        last_step: lines of later steps are dropped: a resumed run will write them again.
        tracker: "none", or the tracker's name.
        facts: what the tracker shows of the run.
    """

    def __init__(
        self, accelerator: Accelerator, out: Path, last_step: int, tracker: str, facts: dict[str, Any]
    ) -> None:
        self._accelerator, self._tracked = accelerator, tracker != "none"
        self._log = RunLog(out / METRICS, last_step) if accelerator.is_main_process else None
        if self._tracked:
            accelerator.init_trackers("longdream", facts)

    def write(self, step: int, kind: str, values: dict[str, float]) -> None:
        """Write one line; `kind` is "train", "validation" or "evaluation"."""
        if self._log is not None:
            self._log.write(step, kind, values)
        if self._tracked:
            self._accelerator.log({f"{kind}/{name}": value for name, value in values.items()}, step=step)

    def close(self) -> None:
        """Let the tracker finish."""
        if self._tracked:
            self._accelerator.end_training()
