"""The curves of an evaluation as data, which figures.py draws and the report's page makes interactive.

A run has the same colour everywhere; floors are orange and grey, the nearest pose is green, the paper's figures are
dotted.

Axes: Q query steps, K values of k in recall.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple

import numpy as np

from .evaluation import Evaluation
from .examined import Examined
from .reasoning import KINDS
from .recall import Recall
from .table import published

COPY, MEAN, NEAREST, PAPER = "#d9822b", "#7a7a7a", "#2a9d76", "#111111"
CLOSED, OPEN = "#4a4a4a", "#c9b458"  # always to answer so
RUNS = ("#1f5fa8", "#b8336a", "#8a6d00", "#7b4fb5", "#1b9aaa", "#8c5a2b", "#d1495b", "#303a52")
Average = Literal["rest", "common"]  # of recall


class Line(NamedTuple):
    """A curve."""

    name: str
    values: np.ndarray  # one at each x; NaN where there is none
    colour: str
    dashed: bool = False


CONSTANT = ("always_closed", "always_open")  # answers; dashed
DOORS = {  # {what stands beside the runs where doors are read: label and colour}
    "always_closed": ("always closed (floor)", CLOSED),
    "always_open": ("always open (floor)", OPEN),
    "copy_last": ("copy last frame (floor)", COPY),
    "mean_context": ("mean context frame (floor)", MEAN),
    "nearest_pose": ("nearest pose", NEAREST),
}


class Level(NamedTuple):
    """A figure in print, which is one for all x."""

    name: str
    value: float


class Chart(NamedTuple):
    """Curves over one x axis."""

    key: str  # of the file
    caption: str
    x: np.ndarray
    across: str  # what x is
    up: str  # what the values are
    log: bool  # they are seen best on a logarithmic axis, if they span much
    lines: list[Line]
    levels: list[Level]


def run_colour(place: int) -> str:
    """Return the colour of a run, the same in every figure: `place` is its number among those compared."""
    return RUNS[place % len(RUNS)]


def charts(examined: Sequence[Examined]) -> list[Chart]:
    """Return all curves of runs that were examined on the same episodes."""
    found = [imagining(examined)]
    if examined[0].evaluation.recall is not None:
        found += [recalling(examined, "rest"), recalling(examined, "common")]
    if examined[0].evaluation.doors_in_view:
        found.append(reading_doors(examined))
    return found


def imagining(examined: Sequence[Examined]) -> Chart:
    """Return the squared error along the query: floors, nearest pose and every run, imagining and seeing the frames."""
    shared = examined[0].evaluation
    lines = [
        Line("copy last frame (floor)", shared.copy_last.every.curve, COPY),
        Line("mean context frame (floor)", shared.mean_context.every.curve, MEAN),
    ]
    if shared.nearest_pose is not None:
        lines.append(Line("nearest pose", shared.nearest_pose.every.curve, NEAREST))
    for place, run in enumerate(examined):
        lines += _run(run.name if len(examined) > 1 else "model", run.evaluation, run_colour(place))
    printed = [(row.model, row.generation) for row in published(examined)]
    return Chart(
        "curves",
        "Squared error of a frame at each imagined step, mean over the episodes. Below a floor: the model remembers "
        "something that the floor does not. Dashed: what a model draws of a frame that it sees."
        + (" Dotted: the paper's means over all steps." if any(value is not None for _, value in printed) else ""),
        np.arange(1, shared.layout.query + 1),
        "imagined step",
        "squared error of a frame",
        True,
        lines,
        [Level(f"{name}, the paper's", value) for name, value in printed if value is not None],
    )


def _run(name: str, evaluation: Evaluation, colour: str) -> list[Line]:
    seen = evaluation.reconstruction.every.curve[evaluation.layout.context :]
    imagined = Line(f"{name}, imagining", evaluation.generation.every.curve, colour)
    return [imagined, Line(f"{name}, seeing the frames", seen, colour, dashed=True)]


def recalling(examined: Sequence[Examined], average: Average) -> Chart:
    """Return the squared error by the number of frames shown after the teleport, as the paper's Figure 6 has it."""

    def values(recall: Recall | None, of: str) -> np.ndarray:
        return np.array([found.value for found in getattr(getattr(recall, of), average)])

    shared = examined[0].evaluation.recall
    assert shared is not None
    lines = [
        Line("copy last frame (floor)", values(shared, "copy_last"), COPY),
        Line("mean frame (floor)", values(shared, "mean_context"), MEAN),
    ]
    if shared.nearest_pose is not None:
        lines.append(Line("nearest pose", values(shared, "nearest_pose"), NEAREST))
    for place, run in enumerate(examined):
        name = run.name if len(examined) > 1 else "model"
        lines.append(Line(name, values(run.evaluation.recall, "model"), run_colour(place)))
    steps = "all steps that were imagined" if average == "rest" else "the steps that are imagined for every number"
    return Chart(
        "recall" if average == "rest" else "recall-common",
        f"Recall after a teleport: generation MSE over {steps}, by the number of frames shown after the teleport.",
        np.array(shared.given),
        "observations after the teleport",
        "generation MSE",
        True,
        lines,
        [],
    )


def reading_doors(examined: Sequence[Examined]) -> Chart:
    """Return the share of the doors in view whose state is told right, along the query."""
    shared, steps = examined[0].evaluation.reasoning, examined[0].evaluation.layout.query
    below = examined[0].evaluation.door_floors
    assert shared is not None
    constant = {name: np.full(steps, getattr(shared.seen, name)) for name in CONSTANT}  # the mean of all steps
    lines = _door_floors(constant | {name: floor.per_step for name, floor in below.items()})
    lines += [
        Line(run.name if len(examined) > 1 else "model", run.evaluation.reasoning.per_step, run_colour(place))
        for place, run in enumerate(examined)
        if run.evaluation.reasoning is not None
    ]
    return Chart(
        "doors-per-step",
        "Share of the doors in view whose state is right in the imagined frame, at each imagined step. Dashed: a "
        "constant answer, mean of all steps.",
        np.arange(1, steps + 1),
        "imagined step",
        "doors told right",
        False,
        lines,
        [],
    )


def door_events(evaluation: Evaluation) -> list[Line]:
    """Return what stands beside the runs at each kind of event (`KINDS`): the share of doors told right."""
    shared = evaluation.reasoning
    assert shared is not None
    told = [getattr(shared, kind) for kind in KINDS]
    values = {name: np.array([getattr(found, name) for found in told]) for name in CONSTANT}
    for name, floor in evaluation.door_floors.items():
        values[name] = np.array([getattr(floor, kind).interval.value for kind in KINDS])
    return _door_floors(values)


def _door_floors(values: Mapping[str, np.ndarray]) -> list[Line]:
    return [Line(DOORS[name][0], drawn, DOORS[name][1], name in CONSTANT) for name, drawn in values.items()]
