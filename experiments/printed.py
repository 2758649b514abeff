"""The paper's rows that stand beside ours: of the task that a data set is put next to."""

from __future__ import annotations

from typing import Any, NamedTuple

from ..datasets.info import DatasetInfo
from ..eval import papers
from .described import described
from .plan import Options
from .tables import LABELS, Table


class PrintedRow(NamedTuple):
    """A row of the paper."""

    label: str
    values: dict[str, float]  # by the name of the metric
    task: str  # what it was measured on
    ours: bool  # it is the very task that our data are of


def printed(table: Table, collect: Options, environment: str) -> list[PrintedRow]:
    """Return the paper's rows on an environment's task, of our rows' models and its floors; a figure has none.

    Args:
        table: whose rows.
        collect: how our data are made.
        environment: ours that stands for the paper's task.
    """
    beside, ours = described({"env": environment}), described(collect)
    same = (beside.environment, beside.options) == (ours.environment, ours.options)
    labels = [*(LABELS[model] for model in table.models), *table.floors_in_print]
    rows = [(label, _values(table, beside, label)) for label in labels]
    return [PrintedRow(label, values, _task(beside), same) for label, values in rows if values]


def _task(info: DatasetInfo) -> str:
    return f"{info.environment}, {info.spec.context} + {info.spec.query} steps"


def _values(table: Table, beside: DatasetInfo, label: str) -> dict[str, float]:
    found: dict[str, Any] = {}
    for metric in table.metrics:
        for row in _sources(beside):
            value = row["model"] == label and metric.print is not None and row.get(metric.print)
            if value:
                found[metric.name] = value
    return found


def _sources(info: DatasetInfo) -> list[dict[str, Any]]:
    """Return the rows in print on an environment's task, each as a dictionary."""
    size = info.environment.removeprefix("memory_maze_")
    mazes = [
        {"model": row.model} | {name.removesuffix(f"_{size}"): value for name, value in row._asdict().items()}
        for row in papers.PROBING
        if size != info.environment
    ]
    return [row._asdict() for row in papers.PUBLISHED if _is_of(row.task, info)] + mazes


def _is_of(task: papers.Task, info: DatasetInfo) -> bool:
    lengths = (task.context, task.query) == (info.spec.context, info.spec.query)
    options = all(info.options.get(name) == value for name, value in task.options.items())
    return info.environment in task.environments and options and lengths
