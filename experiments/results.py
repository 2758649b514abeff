"""What one run of a sweep came to, at a step at which it was evaluated."""

from __future__ import annotations

from statistics import median
from typing import Any, NamedTuple

from ..eval.findings import number
from ..worldmodels.run_log import METRICS
from .plan import Run
from .progress import RESULTS, evaluation_folder, log_until, read_json


class Result(NamedTuple):
    """Figures of one run."""

    run: Run
    step: int
    minutes: float  # of training
    frames_per_second: float  # in training
    parameters: int
    measured: dict[str, Any]  # results.json

    def mse(self, what: str) -> float:
        """Return the mean squared error of "generation", "copy_last" or "mean_context"."""
        return self.measured["errors"][what]["mse"]


def result(run: Run, step: int) -> Result:
    """Return what a run came to at a step at which it was measured.

    Raises:
        ValueError: one of its files is damaged.
    """
    folder = evaluation_folder(run, step)
    found = read_json(folder / RESULTS, f"remove {folder}, and the run is measured again")
    measured = found["runs"][0] if "runs" in found else found  # `evaluate` may compare several runs, `probe` does not
    log = log_until(run, step)
    if not log:
        raise ValueError(f"{run.folder / METRICS} has no line up to step {step:,}: remove {run.folder} to begin anew")
    speed = median(line["frames_per_second"] for line in log)
    parameters = measured["provenance"]["config"]["parameters"]
    return Result(run, step, log[-1]["seconds"] / 60, speed, parameters, measured)


def headline(found: Result) -> str:
    """Say what a run came to, in a few words."""
    if "errors" in found.measured:
        return f"generation MSE {number(found.mse('generation'))} (copy last {number(found.mse('copy_last'))})"
    rows = {task: found.measured["tasks"][task]["rows"] for task in found.measured["tasks"]}
    marks = {task: [row[name]["query"]["value"] for name in ("probe", "constant")] for task, row in rows.items()}
    return ", ".join(f"{task} {number(probe)} (constant {number(floor)})" for task, (probe, floor) in marks.items())
