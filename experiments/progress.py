"""How far a run is: read from its folder alone, so that a sweep which was stopped, or killed, knows what is left."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NamedTuple

from ..worldmodels.checkpoint import CONFIG, latest
from ..worldmodels.run_log import METRICS, parsed, read_log
from .plan import SLOWEST, Options, Run, SweepConfig

RESULTS = "results.json"
ASKED = "asked.json"  # the options with which the results were made
FEATURES = "features"  # of a run's folder: what a probe reads (probes/observe.py)
INDIFFERENT = ("device", "batch_size", "batch-size")  # options of a measurement on which its figures do not depend
LOGS = "logs"  # of a sweep's folder: what its processes said
TAIL = 8192  # bytes at the end of metrics.jsonl that hold its last lines
SLACK = 0.05  # how much longer than its minutes a run may have trained and still be compared at equal time


class Progress(NamedTuple):
    """Where a run stands."""

    step: int  # of the newest checkpoint; 0: there is none
    seconds: float  # what the training clock read then


def progress(run: Run) -> Progress:
    """Return where a run stands."""
    checkpoint = latest(run.folder)
    if checkpoint is None:
        return Progress(0, 0.0)
    config = read_json(checkpoint / CONFIG, f"remove {checkpoint}, and the run begins anew")
    return Progress(config["step"], config["seconds"])


def read_json(path: Path, mend: str) -> Any:
    """Return what a JSON file of a run's folder holds.

    Raises:
        ValueError: the file is damaged; the message says what to do.
    """
    try:
        return json.loads(path.read_text())
    except ValueError as error:
        raise ValueError(f"{path} is damaged ({error}): {mend}") from error


def evaluation_folder(run: Run, step: int) -> Path:
    """Return where the evaluation lies that was made when the run's newest checkpoint was of `step`."""
    return run.folder / f"evaluation-{step:08d}"


def evaluated(sweep: SweepConfig, run: Run, step: int) -> bool:
    """Return whether that evaluation was made, as the sweep asks for it."""
    folder = evaluation_folder(run, step)
    if not (folder / RESULTS).exists():
        return False
    asked = folder / ASKED
    made = read_json(asked, f"remove {folder}, and the run is measured again") if asked.exists() else {}
    return decisive(made) == decisive(sweep.asked(run, step))


def decisive(asked: Options) -> Options:
    """Return those options of a measurement that decide its figures."""
    return {name: value for name, value in asked.items() if name not in INDIFFERENT}


def log_until(run: Run, step: int) -> list[dict[str, Any]]:
    """Return the run's lines of training metrics up to `step`."""
    return [line for line in read_log(run.folder / METRICS) if line["kind"] == "train" and line["step"] <= step]


def seconds_at(run: Run, step: int) -> float:
    """Return what the training clock read at `step`, one at which the run has stopped."""
    return log_until(run, step)[-1]["seconds"]


def target_minutes(sweep: SweepConfig, data: str) -> float | None:
    """Return how long every run on a data set shall train for the comparison at equal time.

    None where it is not known: the slowest is to be taken, and not all runs are through their steps.
    """
    if sweep.minutes != SLOWEST:
        return float(sweep.minutes) if sweep.minutes is not None else None
    runs = [run for run in sweep.runs() if run.data == data]
    if not all(evaluated(sweep, run, sweep.steps_of(run)) for run in runs):
        return None
    return max(seconds_at(run, sweep.steps_of(run)) for run in runs) / 60


def too_slow(sweep: SweepConfig, run: Run) -> bool:
    """Return whether a run took longer for the sweep's steps than it has for the comparison at equal time."""
    minutes = target_minutes(sweep, run.data)
    if minutes is None or not evaluated(sweep, run, sweep.steps_of(run)):
        return False
    return seconds_at(run, sweep.steps_of(run)) / 60 > minutes * (1 + SLACK)


def timed_step(sweep: SweepConfig, run: Run) -> int | None:
    """Return the step at which a run had trained for its minutes and was evaluated.

    None: it is not so far, or it took longer already.
    """
    minutes, here = target_minutes(sweep, run.data), progress(run)
    reached = minutes is not None and here.seconds / 60 >= minutes
    return here.step if reached and evaluated(sweep, run, here.step) and not too_slow(sweep, run) else None


def reached(run: Run) -> int:
    """Return the last step that a run has logged: where it is while it trains."""
    path = run.folder / METRICS
    if not path.exists():
        return 0
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - TAIL))
        text = file.read().decode(errors="replace")
    lines = parsed(text.splitlines()[1:-1])  # the first and the last may be cut off
    return lines[-1]["step"] if lines else progress(run).step


def failure(sweep: SweepConfig, run: Run) -> str | None:
    """Return why a run failed when it was last tried; None: it did not."""
    path = failure_path(sweep, run)
    return path.read_text().strip() if path.exists() else None


def failure_path(sweep: SweepConfig, run: Run) -> Path:
    """Return the file that says why a run failed; it is there only where it did."""
    return log_path(sweep, run).with_suffix(".failed")


def log_path(sweep: SweepConfig, run: Run) -> Path:
    """Return where a run's processes write what they say."""
    return sweep.out / LOGS / f"{run.data}-{run.model}-{run.seed}.log"
