"""What a sweep is: data sets x models x seeds, read from a YAML file."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, NamedTuple

import yaml

from ..worldmodels.config import from_dict
from ..worldmodels.device import usable_cores
from ..worldmodels.presets import PRESETS, family_name
from ..worldmodels.train_config import TrainConfig

SLOWEST = "slowest"
OURS = ("data", "out", "seed", "stop_at", "minutes", "resume", "cpu_threads", "config")  # options the sweep decides

Options = dict[str, Any]  # of a command, without the leading dashes: {"optim.lr": 1e-3, "frames": "on-read"}


@dataclass(frozen=True)
class DataConfig:
    """A data set of a sweep."""

    path: str  # its folder, or its URL
    collect: Options = field(default_factory=dict)  # how `collect` makes it; nothing: it is there
    models: dict[str, Options] = field(default_factory=dict)  # what models are given besides, on these data


@dataclass(frozen=True)
class SweepConfig:
    """A comparison: every model on every data set with every seed."""

    out: Path  # the folder of the runs and of the summary
    data: dict[str, DataConfig]
    models: dict[str, Options]  # options of train_wm.py; `model`, the preset, among them
    steps: int  # optimiser steps of every run, but of models that are given `steps` of their own
    rounds: list[float] = field(default_factory=lambda: [1.0])  # shares of the steps at which runs are measured
    seeds: list[int] = field(default_factory=lambda: [0])
    minutes: float | str | None = None  # then the comparison at equal time: so many, or as the "slowest" run took
    train: Options = field(default_factory=dict)  # options of train_wm.py that all models share
    measure: Literal["evaluate", "probe"] = "evaluate"  # the command that measures a run
    evaluate: Options = field(default_factory=dict)  # options of that command
    on_the_way: Options = field(default_factory=dict)  # and what they are instead in all rounds but the last
    parallel: int = 1  # runs at once
    cpu_threads: int = 0  # of each; 0: the cores shared out
    launch: list[str] = field(default_factory=list)  # what starts train_wm.py, as `accelerate launch ...`; []: Python

    def __post_init__(self) -> None:
        for name in ("data", "models", "seeds"):
            if not getattr(self, name):
                raise ValueError(f"{name}: a sweep needs at least one")
        for name in ("steps", "parallel"):
            if not isinstance(value := getattr(self, name), int) or value < 1:
                raise ValueError(f"{name} must be a whole number of 1 or more, not {value!r}")
        _check_list("seeds", self.seeds, int, "[0, 1]")
        _check_list("launch", self.launch, str, "[accelerate, launch]")
        if len(set(self.seeds)) < len(self.seeds):
            raise ValueError(f"seeds {self.seeds} names one twice")
        if min(self.seeds) < 0:
            raise ValueError(f"seeds {self.seeds}: 0 or more")
        for name in ("evaluate", "on_the_way"):
            _check_options(name, getattr(self, name), ("checkpoint", "data", "out"))
        _check_rounds(self.rounds)
        timed = isinstance(self.minutes, int | float) and self.minutes > 0
        if self.minutes not in (None, SLOWEST) and not timed:
            raise ValueError(f"minutes must be a number above 0 or {SLOWEST!r}, not {self.minutes!r}")
        _check_options("train", self.train, (*OURS, "steps"))
        for name, own in self.models.items():
            _check_options(f"models.{name}", own, OURS)
        for data in self.data:
            for name, own in self.data[data].models.items():
                _check_options(f"data.{data}.models.{name}", own, OURS)
            if unknown := set(self.data[data].models) - set(self.models):
                raise ValueError(f"data.{data}.models names {min(unknown)!r}; models are {', '.join(self.models)}")
            for name in self.models:
                _check_model(name, self.options(name, data), self.minutes is not None)

    @property
    def threads(self) -> int:
        """Threads of each run."""
        return self.cpu_threads or max(1, usable_cores() // self.parallel)

    def options(self, model: str, data: str) -> Options:
        """Return the options of train_wm.py for a model on data: its own win, and those for these data above all."""
        more = self.data[data].models.get(model, {})
        return _underscored(self.train) | _underscored(self.models[model]) | _underscored(more)

    def steps_of(self, run: Run) -> int:
        """Return the optimiser steps of a run: the sweep's, or those its model is given."""
        return int(self.options(run.model, run.data).get("steps", self.steps))

    def stop(self, run: Run, share: float) -> int:
        """Return the step at which a run has had a share of its steps: at a validation, for its best model is taken."""
        steps = self.steps_of(run)
        every = int(self.options(run.model, run.data).get("validate_every", TrainConfig.validate_every))
        return min(steps, math.ceil(share * steps / every) * every)

    def stops(self, run: Run) -> list[int]:
        """Return the steps at which a run is measured."""
        return sorted({self.stop(run, share) for share in self.rounds})

    def asked(self, run: Run, step: int) -> Options:
        """Return the options with which a run is measured at a step."""
        return self.evaluate | (self.on_the_way if step < self.steps_of(run) else {})

    def runs(self) -> list[Run]:
        """Return all runs: every model on every data set with the first seed first, so that what is partial is fair."""
        return [
            Run(data, model, seed, self.out / data / model / f"seed-{seed}")
            for seed in self.seeds
            for data in self.data
            for model in self.models
        ]


class Run(NamedTuple):
    """One model on one data set with one seed."""

    data: str
    model: str
    seed: int
    folder: Path

    @property
    def name(self) -> str:
        """How it is spoken of."""
        return f"{self.data}/{self.model}/seed-{self.seed}"


def read_sweep(path: Path) -> SweepConfig:
    """Read a sweep's YAML file.

    Raises:
        ValueError: it is no YAML, has an unknown field, lacks one, or asks for what cannot be compared.
    """
    try:
        values = yaml.safe_load(path.read_text())
    except yaml.YAMLError as error:
        raise ValueError(f"{path} is no YAML: {error}") from error
    try:
        data = {name: _data(name, part) for name, part in values["data"].items()}
        return from_dict(SweepConfig, values | {"data": data})
    except (AttributeError, KeyError, TypeError) as error:
        raise ValueError(f"{path} is no sweep ({error!r}); configs/compare_2d.yaml is one") from error
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error


def _data(name: str, values: Any) -> DataConfig:
    if not isinstance(values, dict) or "path" not in values:
        raise ValueError(f"data.{name} is {values!r}; it needs a path, and perhaps `collect`")
    return from_dict(DataConfig, values, f"data.{name}.")


def _underscored(options: Options) -> Options:
    return {name.replace("-", "_"): value for name, value in options.items()}


def _check_list(name: str, values: Any, kind: type, example: str) -> None:
    """Refuse what is no list of a kind."""
    if not isinstance(values, list) or not all(type(value) is kind for value in values):
        raise ValueError(f"{name} is {values!r}; it must be a list such as {example}")


def _check_rounds(rounds: list[float]) -> None:
    """Refuse rounds that are no rising shares up to the whole."""
    numbers = isinstance(rounds, list) and all(isinstance(share, int | float) for share in rounds)
    if not numbers or sorted({0, *rounds, 1}) != [0, *rounds]:
        raise ValueError(f"rounds is {rounds!r}; it must be a list of rising shares up to 1, such as [0.1, 0.3, 1]")


def _check_options(where: str, options: Any, ours: Sequence[str]) -> None:
    """Refuse what is no flat mapping of options, and what the sweep decides itself."""
    if not isinstance(options, dict):
        raise ValueError(f"{where} is {options!r}; it must map options to values, as in {{optim.lr: 1e-3}}")
    nested = [name for name, value in options.items() if isinstance(value, dict)]
    if nested:
        raise ValueError(f"{where}.{nested[0]} is nested; options are written with dots, as in optim.lr")
    taken = set(_underscored(options)) & set(ours)
    if taken:
        raise ValueError(f"{where}: the sweep itself sets {min(taken)}; take it out")


def _check_model(name: str, options: Options, timed: bool) -> None:
    """Refuse a model that there is not, and a schedule that minutes would cut off."""
    model = options.get("model")
    presets = [preset for known, preset in PRESETS.items() if model in (known, family_name(known))]
    if not presets:
        raise ValueError(f"models.{name}: there is no model {model!r}; there are {', '.join(PRESETS)}")
    schedules = [options["optim.schedule"]] if "optim.schedule" in options else [p.optim.schedule for p in presets]
    if timed and "cosine" in schedules:
        raise ValueError(
            f"models.{name} has a cosine schedule, which is at zero after `steps`: a run that goes on until its "
            "minutes are over would learn nothing more. Put `optim.schedule: constant` into train, or take minutes out"
        )
