"""The lines of a table: ours, with mean and spread over seeds; floors; the paper's. As Markdown and as CSV."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from ..eval.findings import number, percent
from ..eval.table import NONE
from .described import described
from .printed import PrintedRow, printed
from .scales import Scale, beside, label
from .standing import Standing, in_words, spread
from .tables import Kind, Table

OURS, FLOOR, PAPER = "ours", "floor", "paper"
ANOTHER_TASK = "another task"
CSV_HEADER = (
    *("data", "row", "source", "metric", "mean", "deviation", "each seed", "seeds", "seeds planned"),
    *("step", "steps planned", "about"),
)


class Cell(NamedTuple):
    """A figure."""

    kind: Kind
    mean: float
    deviation: float | None = None  # over seeds
    seeds: tuple[float, ...] = ()


class Line(NamedTuple):
    """A row of the table."""

    data: str
    label: str
    source: str  # OURS, FLOOR or PAPER
    cells: dict[str, Cell]  # by the metric's name; one that is missing is not there
    about: str  # how far it is, or what it was measured on
    standing: Standing | None = None  # of a row of ours


def lines(scale: Scale, name: str, table: Table, standings: Sequence[Standing]) -> list[Line]:
    """Return the lines of a table: for each data set ours, the floors, and the paper's."""
    found = []
    for data in dict.fromkeys(standing.data for standing in standings):
        mine = [standing for standing in standings if standing.data == data]
        found += [_ours(table, standing) for standing in mine]
        found += _floors(table, mine)
        found += [
            _paper(table, data, row) for row in printed(table, scale.data[data].collect, beside(scale, name, data))
        ]
    return found


def _ours(table: Table, standing: Standing) -> Line:
    cells = {}
    for metric in table.metrics:
        values = standing.values(metric)
        if (found := spread(values)) is not None:
            cells[metric.name] = Cell(metric.kind, found.mean, found.deviation, tuple(values))
    return Line(standing.data, label(standing.model), OURS, cells, in_words(standing), standing)


def _floors(table: Table, standings: Sequence[Standing]) -> list[Line]:
    """Return the floors' lines, from the first model that has results: all models meet the same episodes."""
    there = next((standing for standing in standings if standing.results), None)
    if there is None:
        return []
    cells: dict[str, dict[str, Cell]] = {}
    for metric in table.metrics:
        for floor in metric.floors:
            if (value := there.floor(floor.path)) is not None:
                cells.setdefault(floor.name, {})[metric.name] = Cell(metric.kind, value)
    return [Line(there.data, name, FLOOR, found, "remembers nothing") for name, found in cells.items()]


def _paper(table: Table, data: str, row: PrintedRow) -> Line:
    kinds = {metric.name: metric.kind for metric in table.metrics}
    cells = {name: Cell(kinds[name], value) for name, value in row.values.items()}
    return Line(data, row.label, PAPER, cells, row.task if row.ours else f"{ANOTHER_TASK}: {row.task}")


def markdown(scale: Scale, table: Table, found: Sequence[Line]) -> list[str]:
    """Return a Markdown table for each data set, under a heading of its own."""
    text: list[str] = []
    for data in dict.fromkeys(line.data for line in found):
        info = described(scale.data[data].collect)
        text += [f"#### {data}: {info.environment}, {info.spec.context} steps seen, {info.spec.query} imagined", ""]
        header = ["", *(metric.name for metric in table.metrics), "seeds and steps", "minutes a seed"]
        text += [_row(header), _row(["---", *["---:"] * len(table.metrics), "---", "---:"])]
        text += [_row(_columns(table, line)) for line in found if line.data == data]
        text += [""]
    return text


def _columns(table: Table, line: Line) -> list[str]:
    """Return a line's cells; what is not ours stands in italics."""
    figures = [shown(line.cells.get(metric.name)) for metric in table.metrics]
    names = {OURS: line.label, FLOOR: f"{line.label} (floor)", PAPER: f"the paper's {line.label}"}
    columns = [names[line.source], *figures, line.about, minutes(line)]
    return columns if line.source == OURS else [f"*{text}*" if text not in ("", NONE) else text for text in columns]


def minutes(line: Line) -> str:
    """Return how long a seed of ours trained, on average, to the round that is shown."""
    results = line.standing.results if line.standing else []
    return number(sum(found.minutes for found in results) / len(results)) if results else ""


def shown(cell: Cell | None) -> str:
    """Return a figure as it stands in the table."""
    if cell is None:
        return NONE
    if cell.kind == "share":
        spread_text = "" if cell.deviation is None else f" ± {100 * cell.deviation:.1f}"
        return f"{percent(cell.mean)}{spread_text}"
    return number(cell.mean) + ("" if cell.deviation is None else f" ± {number(cell.deviation)}")


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def write_csv(path: Path, table: Table, found: Sequence[Line]) -> None:
    """Write a line for each figure; shares are in [0, 1]. Rows without figures are there as well."""
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(CSV_HEADER)
        writer.writerows(_figures(line, metric.name) for line in found for metric in table.metrics)


def _figures(line: Line, metric: str) -> list[str | float | int]:
    cell, standing = line.cells.get(metric), line.standing
    row: list[str | float | int] = [line.data, line.label, line.source, metric]
    if cell is None:
        row += ["", "", ""]
    else:
        deviation = "" if cell.deviation is None else cell.deviation
        row += [cell.mean, deviation, " ".join(f"{value:.6g}" for value in cell.seeds)]
    if standing is None:
        return [*row, "", "", "", "", line.about]
    step = standing.results[0].step if standing.results else 0
    return [*row, len(standing.results), len(standing.runs), step, standing.steps, line.about]
