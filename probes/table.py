"""The figures of every task, for the terminal: ours, and the papers' where the mazes are theirs."""

from __future__ import annotations

import math
from typing import NamedTuple

from ..datasets.info import DatasetInfo
from ..eval.findings import number, percent
from ..eval.intervals import Interval
from ..eval.papers import PROBING
from .examination import CONSTANT, LABELS, PROBE, Examined, Marks, mean_of_episodes
from .task import Measure

NONE = "-"
TITLES = {PROBE: "probe", CONSTANT: "constant answer", LABELS: "fed the right answers"}
HEADERS = {
    Measure.ACCURACY: ("right answers", "query (95 %)", "every step"),
    Measure.SQUARED_ERROR: ("squared error", "query (95 %)", "RMSE", "every step", "RMSE"),
}


class Printed(NamedTuple):
    """A paper's figure of the query."""

    model: str
    source: str
    figure: float  # in our unit


def as_text(found: Examined, info: DatasetInfo) -> str:
    """Return the table of one task on a data set."""
    measure = found.task.measure
    lines = [HEADERS[measure], *((TITLES[name], *columns(row.marks, measure)) for name, row in found.rows.items())]
    papers = published(info, found.task.name)
    lines += [(f"paper: {row.model}", *printed(row, measure)) for row in papers]
    name, *widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    text = [
        f"{line[0]:<{name}}" + "".join(f"  {c:>{w}}" for c, w in zip(line[1:], widths, strict=True)) for line in lines
    ]
    sources = dict.fromkeys(f"paper: {row.source}" for row in papers)
    return "\n".join([f"{found.task.name}: {found.task.about}", text[0], "-" * len(text[0]), *text[1:], *sources])


def columns(marks: Marks, measure: Measure) -> tuple[str, ...]:
    """Return our figures of a row."""
    query, whole = (mean_of_episodes(errors, measure) for errors in (marks.query, marks.whole))
    if measure is Measure.ACCURACY:
        return spread(query, measure), percent(whole.value)
    return spread(query, measure), number(rmse(query)), number(whole.value), number(rmse(whole))


def printed(row: Printed, measure: Measure) -> tuple[str, ...]:
    """Return the columns of a paper's row."""
    if measure is Measure.ACCURACY:
        return percent(row.figure), NONE
    return number(row.figure), number(math.sqrt(row.figure)), NONE, NONE


def spread(found: Interval, measure: Measure) -> str:
    """Return a figure and its interval, if there is one."""
    shown = percent if measure is Measure.ACCURACY else number
    if not math.isfinite(found.high):
        return shown(found.value)
    return f"{shown(found.value)} ({shown(found.low)} to {shown(found.high)})"


def rmse(found: Interval) -> float:
    """Return the root of a squared error, in cells."""
    return math.sqrt(found.value)


def published(info: DatasetInfo, task: str) -> list[Printed]:
    """Return the papers' rows for a task, if the data are Memory Maze's of a size that they have."""
    layout = info.arrays.get("maze_layout")
    if layout is None or not layout.per_step:
        return []
    name = f"{task}_" + "x".join(map(str, layout.shape))  # walls_9x9
    return [Printed(row.model, row.source, getattr(row, name)) for row in PROBING if name in row._fields]
