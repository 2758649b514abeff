"""The figures as files: results.json with everything, curves.csv with the score of every step."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..datasets.info import DatasetInfo
from ..eval.metrics import Errors
from ..eval.results import definite
from .examination import Examined, Row, mean_of_episodes
from .table import published, rmse
from .task import Measure

FORMAT = 1  # of results.json
UNITS = {
    Measure.ACCURACY: "share of right answers, 0 to 1",
    Measure.SQUARED_ERROR: "cells squared, summed over the two coordinates, mean over what is asked for",
}


def as_dict(found: Sequence[Examined], info: DatasetInfo, provenance: dict[str, Any]) -> dict[str, Any]:
    """Return the content of results.json; figures that are not defined are null."""
    tasks = {examined.task.name: _task(examined, info) for examined in found}
    return definite({"format": FORMAT, "tasks": tasks, "provenance": provenance})


def write(found: Sequence[Examined], info: DatasetInfo, provenance: dict[str, Any], out: Path) -> None:
    """Write results.json and curves.csv into the folder `out`."""
    text = json.dumps(as_dict(found, info, provenance), indent=2, allow_nan=False, default=str)
    (out / "results.json").write_text(text + "\n")
    with (out / "curves.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["task", "row", "step", "score"])
        for examined in found:
            for name, row in examined.rows.items():
                curve = definite(row.marks.whole.curve)
                writer.writerows([examined.task.name, name, step, score] for step, score in enumerate(curve))


def _task(examined: Examined, info: DatasetInfo) -> dict[str, Any]:
    task = examined.task
    return {
        "about": task.about,
        "measure": task.measure.value,
        "unit": UNITS[task.measure],
        "rows": {name: _row(row, task.measure) for name, row in examined.rows.items()},
        "published": [
            {"model": row.model, "source": row.source, "query": row.figure} for row in published(info, task.name)
        ],
    }


def _row(row: Row, measure: Measure) -> dict[str, Any]:
    marks = row.marks
    return {
        "query": _figures(marks.query, measure),
        "whole": _figures(marks.whole, measure),
        "per_step": marks.whole.curve,
        "seconds_of_training": row.seconds,
    }


def _figures(errors: Errors, measure: Measure) -> dict[str, Any]:
    found = mean_of_episodes(errors, measure)
    root = {"rmse": rmse(found)} if measure is Measure.SQUARED_ERROR else {}
    return {**found._asdict(), **root, "per_episode": errors.episodes}
