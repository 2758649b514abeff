"""What a plan says of itself before it is started: every run with what is left of it, the time and the disk."""

from __future__ import annotations

import shutil
from pathlib import Path

import torch

from ..eval.findings import number, percent
from . import estimate
from .described import is_there
from .plan import SweepConfig
from .scales import Scale, Speed

UNKNOWN = Speed(machine="", training={}, measuring={})


def preview(config: SweepConfig, scale: Scale, budget: float | None) -> str:
    """Return the plan: every run with what is left of it, the time and the disk."""
    speed = UNKNOWN if _on_a_gpu(config) else scale.speed  # which is a CPU's
    costs = estimate.costs(config, speed)
    width = max(len(cost.run.name) for cost in costs)
    text = [f"{scale.about}; {config.parallel} runs at once, {config.threads} threads each, in {config.out}"]
    for name, data in config.data.items():
        there = "there" if is_there(data) else "to be collected"
        text.append(f"  data {name}: {data.path}, {data.collect.get('n', 1):,} episodes, {there}")
    for cost in costs:
        text.append(f"  {cost.run.name:<{width}}  {cost.steps:>9,} steps of {cost.frames:,} frames left: {_left(cost)}")
    total = estimate.hours(costs, config.parallel)
    rounds = ", ".join(f"{share:.3g}" for share in config.rounds)
    text += [
        f"a seed after the other; measured at shares {rounds} of the steps, all models at one before any goes on",
        f"all of it: {_hours(total)}{_against(budget, total)}"
        + (f"; the scale's speed is of {speed.machine}" if speed.machine else ""),
        _disk(config),
    ]
    return "\n".join(text)


def _on_a_gpu(config: SweepConfig) -> bool:
    return torch.cuda.is_available() and config.train.get("device") != "cpu"


def _left(cost: estimate.Cost) -> str:
    """Say how long a run still takes, and how that is known."""
    if cost.seconds is None:
        return _hours(None)
    known = "as fast as so far" if cost.measured_speed else "the scale's speed"
    return f"{_hours(cost.seconds / 3600)} ({known})"


def _disk(config: SweepConfig) -> str:
    """Say what will be written at most, and where there is no room for it."""
    space = estimate.disk(config)
    text = f"disk: {_bytes(space.data)} of data, at most {_bytes(space.runs)} of checkpoints"
    text += f", {_bytes(space.features)} while models are probed" if space.features else ""
    path = _there(config.out)
    free = shutil.disk_usage(path).free
    if free >= space.data + space.runs + space.features:
        return text
    return f"{text}\nTHE DISK MAY BE TOO SMALL: {path} has {_bytes(free)} free"


def _there(path: Path) -> Path:
    """Return a folder, or the first above it that is there."""
    return next(folder for folder in (path, *path.absolute().parents) if folder.exists())


def _against(budget: float | None, total: float | None) -> str:
    if budget is None or total is None or total * 60 <= budget:
        return ""
    return f", of which this call's {budget:g} min are {percent(budget / 60 / total)}"


def _hours(hours: float | None) -> str:
    if hours is None:
        return "time not known before its first steps"
    if hours < 2:
        return f"about {60 * hours:.0f} min"
    return f"about {number(hours)} hours" if hours < 72 else f"about {number(hours / 24)} days"


def _bytes(count: float) -> str:
    return f"{number(count / 1e9)} GB"
