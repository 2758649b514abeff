"""The commands that the runs of a sweep consist of."""

from __future__ import annotations

import sys
from pathlib import Path

from ..worldmodels.train_config import RUN_CONFIG
from .plan import DataConfig, Options, Run, SweepConfig

TRAIN_SCRIPT = Path(__file__).resolve().parents[1] / "train_wm.py"
ENDLESS = 10**9  # steps of a run that ends by its clock
MEASURE = {"evaluate": "longdream.eval.cli", "probe": "longdream.probes.cli"}


def flags(options: Options) -> list[str]:
    """Return options as words of a command line."""
    words = []
    for name, value in options.items():
        *path, last = name.replace("_", "-").split(".")
        if isinstance(value, bool):
            words.append("--" + ".".join([*path, last if value else f"no-{last}"]))
        elif isinstance(value, list):
            words += ["--" + ".".join([*path, last]), *map(str, value)]
        else:
            words.append(f"--{'.'.join([*path, last])}={value}")
    return words


def collect_command(data: DataConfig) -> list[str]:
    """Return the command that makes or completes a data set."""
    return [sys.executable, "-m", "longdream.collectors.cli", *flags(data.collect), f"--out={data.path}"]


def train_command(sweep: SweepConfig, run: Run, stop_at: int = 0, minutes: float = 0.0) -> list[str]:
    """Return the command that trains a run to step `stop_at`, or until its clock is at `minutes`; or goes on so."""
    launcher = [sys.executable if word == "python" else word for word in sweep.launch or ["python"]]
    settings = {
        "data": sweep.data[run.data].path,
        "out": run.folder,
        "seed": run.seed,
        "steps": ENDLESS if minutes else sweep.steps_of(run),
        "stop_at": stop_at,
        "minutes": minutes,
        "cpu_threads": sweep.threads,
    }
    resume = ["--resume"] if (run.folder / RUN_CONFIG).exists() else []
    return [*launcher, str(TRAIN_SCRIPT), *flags(sweep.options(run.model, run.data) | settings), *resume]


def measure_command(sweep: SweepConfig, run: Run, step: int, out: Path) -> list[str]:
    """Return the command that measures the best checkpoint of a run which is at `step`."""
    settings = {"checkpoint": run.folder, "data": sweep.data[run.data].path, "out": out}
    return [sys.executable, "-m", MEASURE[sweep.measure], *flags(sweep.asked(run, step) | settings)]
