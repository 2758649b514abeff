"""A scale: how large the tables of the paper are to be made, read from a file such as configs/reproduce/tiny.yaml.

A table at a scale is a sweep. Scales share their runs: S4WM on Four Rooms is one run for tables 1 and 4.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from ..worldmodels.config import from_dict
from .plan import DataConfig, Options, SweepConfig
from .tables import LABELS, NAMES, SPEED, TABLES

FOLDER = Path(__file__).resolve().parents[1] / "configs" / "reproduce"
ALL_CORES = 0


@dataclass(frozen=True)
class ScaledData:
    """A data set."""

    collect: Options  # how `collect` makes it
    beside: str  # the environment of the paper's task whose rows stand beside ours
    train: Options = field(default_factory=dict)  # options of train_wm.py for every model on these data
    models: dict[str, Options] = field(default_factory=dict)  # and of single models


@dataclass(frozen=True)
class ScaledTable:
    """What of a scale a table takes."""

    data: list[str] = field(default_factory=list)
    beside: str = ""  # the environment of the paper's task for all its data, if not as they say themselves
    seeds: list[int] = field(default_factory=lambda: [0])
    rounds: list[float] = field(default_factory=list)  # the scale's, if there are none
    evaluate: Options = field(default_factory=dict)  # options of the command that measures a run
    on_the_way: Options = field(default_factory=dict)  # and what they are in all rounds but the last
    benchmark: Options = field(default_factory=dict)  # options of `longdream benchmark`, for the figure of speed


@dataclass(frozen=True)
class Speed:
    """What a plan's time is estimated from before a run has begun: frames a second by "2d" or "3d", and model."""

    machine: str
    training: dict[str, dict[str, float]]
    measuring: dict[str, dict[str, float]]


@dataclass(frozen=True)
class Scale:
    """A file of a scale."""

    about: str  # its size, in a few words
    not_comparable: str  # with the paper, and why
    data: dict[str, ScaledData]
    models: dict[str, Options]
    tables: dict[str, ScaledTable]
    rounds: list[float]
    speed: Speed
    train: Options = field(default_factory=dict)
    parallel: int = 1
    cpu_threads: int = ALL_CORES


class Choice(NamedTuple):
    """What the command line says besides the table and the scale. None: as the scale has it."""

    runs: Path  # folder of the runs
    data: Path  # folder of the data sets
    seeds: tuple[int, ...] | None = None
    parallel: int | None = None
    processes: int = 1  # of each run
    models: tuple[str, ...] = ()  # rows of the table; none: all
    data_sets: tuple[str, ...] = ()  # of the table; none: all
    device: str = "auto"
    precision: str = "no"
    micro_batch: int = 0


def read_scale(name: str) -> Scale:
    """Return a scale by its name, or from a file of one's own.

    Raises:
        ValueError: there is none, or the file is no scale.
    """
    path = FOLDER / f"{name}.yaml"
    path = path if path.exists() else Path(name)
    if not path.is_file():
        known = ", ".join(sorted(file.stem for file in FOLDER.glob("*.yaml")))
        raise ValueError(f"there is no scale {name!r}; there are {known}, and files of your own (--scale my.yaml)")
    try:
        values = yaml.safe_load(path.read_text())
        nested: dict[str, type] = {"data": ScaledData, "tables": ScaledTable}
        built: dict[str, Any] = {
            part: {key: from_dict(cls, found or {}, f"{part}.{key}.") for key, found in values[part].items()}
            for part, cls in nested.items()
        }
        return from_dict(Scale, values | built | {"speed": values["speed"] | {"type": Speed.__name__}})
    except yaml.YAMLError as error:
        raise ValueError(f"{path} is no YAML: {error}") from error
    except (AttributeError, KeyError, TypeError) as error:
        raise ValueError(f"{path} is no scale ({error!r}); configs/reproduce/tiny.yaml is one") from error
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error


def table_of(scale: Scale, name: str) -> ScaledTable:
    """Return what a table takes of a scale.

    Raises:
        ValueError: the scale does not have it.
    """
    if name not in NAMES:
        raise ValueError(f"there is no table {name!r}; there are {', '.join(NAMES)}")
    if name not in scale.tables:
        raise ValueError(f"this scale has no {name}; it has {', '.join(scale.tables)}")
    return scale.tables[name]


def plan(scale: Scale, name: str, choice: Choice) -> SweepConfig:
    """Return the sweep that makes a table at a scale.

    Raises:
        ValueError: the scale does not have the table, or names what there is not.
    """
    table = table_of(scale, name)
    rows = chosen("--models", choice.models, TABLES[name].models, scale.models)
    sets = chosen("--data-sets", choice.data_sets, table.data, scale.data)
    device = {} if choice.device == "auto" else {"device": choice.device}
    return SweepConfig(
        out=choice.runs,
        data={key: _data(scale, rows, choice.data / key, scale.data[key]) for key in sets},
        models={row: scale.models[row] for row in rows},
        steps=int(scale.train.get("steps", 1)),
        rounds=table.rounds or scale.rounds,
        seeds=list(choice.seeds or table.seeds),
        train={key: value for key, value in scale.train.items() if key != "steps"} | device | _on_a_gpu(choice),
        measure="probe" if name == "table6" else "evaluate",
        evaluate=table.evaluate | device,
        on_the_way=table.on_the_way,
        parallel=choice.parallel or scale.parallel,
        cpu_threads=0 if choice.parallel else scale.cpu_threads,
        launch=launch(choice.processes),
    )


def chosen(flag: str, wanted: Sequence[str], offered: Sequence[str], known: Iterable[str]) -> list[str]:
    """Return what is wanted of what a table has, in the table's order; all, if nothing is."""
    if strange := set(wanted) - set(offered):
        raise ValueError(f"{flag} {min(strange)}: this table has {', '.join(offered)}")
    if missing := [name for name in offered if name not in set(known)]:
        raise ValueError(f"the table needs {missing[0]!r}, which this scale does not have")
    return [name for name in offered if not wanted or name in wanted]


def _on_a_gpu(choice: Choice) -> Options:
    """Return what is asked for that fits training to a GPU."""
    precision = {} if choice.precision == "no" else {"precision": choice.precision}
    return precision | ({"micro_batch": choice.micro_batch} if choice.micro_batch else {})


def _data(scale: Scale, rows: Sequence[str], path: Path, data: ScaledData) -> DataConfig:
    """Return a data set with the options of the models that are rows."""
    if unknown := set(data.models) - set(scale.models):
        raise ValueError(f"{path.name} names a model {min(unknown)!r}; models are {', '.join(scale.models)}")
    return DataConfig(str(path), data.collect, {row: data.train | data.models.get(row, {}) for row in rows})


def launch(processes: int) -> list[str]:
    """Return the words that start train_wm.py in so many processes, which find each other through Accelerate."""
    if processes < 1:
        raise ValueError(f"--processes {processes}: 1 or more")
    torchrun = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(processes)]
    return [] if processes == 1 else [sys.executable, *torchrun]


def benchmark_options(scale: Scale) -> Options:
    """Return the options of `longdream benchmark` for the figure of speed.

    Raises:
        ValueError: the scale has none.
    """
    options = table_of(scale, SPEED).benchmark
    if not options:
        raise ValueError(f"this scale says nothing of {SPEED}: tables.{SPEED}.benchmark is empty")
    return options


def beside(scale: Scale, table: str, data: str) -> str:
    """Return the environment of the paper's task whose rows stand beside ours."""
    return scale.tables[table].beside or scale.data[data].beside


def label(model: str) -> str:
    """Return a row's name as the paper has it."""
    return LABELS.get(model, model)
