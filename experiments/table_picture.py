"""The picture of a table: how its headline figure comes about over training, and for recall by the frames shown."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from statistics import fmean
from typing import NamedTuple

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from ..eval.figures import STYLE, marker, scale
from .plan import Run, SweepConfig
from .results import result
from .scales import label
from .standing import at_share
from .table_lines import ANOTHER_TASK, FLOOR, OURS, PAPER, Line
from .tables import LABELS, Metric, Table, figure

FLOOR_COLOUR = "#7a7a7a"
DASHES = ("--", ":")
COLUMNS = 2  # panels beside each other


class Curve(NamedTuple):
    """One model on one data set."""

    x: list[float]
    seeds: list[list[float]]  # of each x, a figure of each seed

    @property
    def means(self) -> list[float]:
        """The mean over the seeds at each x."""
        return [fmean(values) for values in self.seeds]


def save_picture(config: SweepConfig, table: Table, lines: Sequence[Line], path: Path) -> None:
    """Draw a panel for each data set, and below them the recall where it was measured; without figures no picture."""
    metric = next(metric for metric in table.metrics if metric.name == table.headline)
    panels = {data: _over_training(config, metric, data) for data in config.data}
    recalls = {data: _recall(config, data) for data in config.data} if table.metrics[0].path[0] == "recall" else {}
    panels = {data: curves for data, curves in panels.items() if curves}
    recalls = {data: curves for data, curves in recalls.items() if curves}
    if not panels:
        return
    count = len(panels) + len(recalls)
    columns = min(COLUMNS, count)
    with matplotlib.rc_context(STYLE):
        figure_ = Figure(figsize=(5.5 * columns, 3.6 * -(-count // columns) + 0.5), layout="constrained")
        grid = list(figure_.subplots(-(-count // columns), columns, squeeze=False).flat)
        for axes, (data, curves) in zip(grid, panels.items(), strict=False):
            levels = [line for line in lines if line.data == data and line.source != OURS and metric.name in line.cells]
            _draw(axes, curves, metric, "% of the steps", [line.cells[metric.name].mean for line in levels])
            _levels(axes, metric, levels)
            axes.set(title=data, ylabel=metric.name)
        for axes, (data, curves) in zip(grid[len(panels) :], recalls.items(), strict=False):
            _draw(axes, curves, metric, "frames shown after the teleport")
            axes.set(title=data, ylabel="generation MSE")
        for axes in grid[count:]:
            axes.set_visible(False)
        handles = {k: v for axes in grid for v, k in zip(*axes.get_legend_handles_labels(), strict=True)}
        figure_.legend(handles.values(), handles.keys(), loc="outside upper center", ncols=3)
        figure_.savefig(path)


def _over_training(config: SweepConfig, metric: Metric, data: str) -> dict[str, Curve]:
    """Return a metric by the share of the steps, in per cent: models take different numbers of them. By model."""
    found: dict[str, Curve] = {}
    for run in (run for run in config.runs() if run.data == data):
        curve = found.setdefault(run.model, Curve([], []))
        for share in config.rounds:
            value = _figure(config, run, share, metric)
            if value is not None:
                _add(curve, 100 * config.stop(run, share) / config.steps_of(run), value)
    return {model: _ordered(curve) for model, curve in found.items() if curve.x}


def _figure(config: SweepConfig, run: Run, share: float, metric: Metric) -> float | None:
    if not at_share(config, run, share):
        return None
    return figure(result(run, config.stop(run, share)).measured, metric.path)


def _add(curve: Curve, x: float, value: float) -> None:
    if x not in curve.x:
        curve.x.append(x)
        curve.seeds.append([])
    curve.seeds[curve.x.index(x)].append(value)


def _ordered(curve: Curve) -> Curve:
    order = np.argsort(curve.x)
    return Curve([curve.x[i] for i in order], [curve.seeds[i] for i in order])


def _recall(config: SweepConfig, data: str) -> dict[str, Curve]:
    """Return the error by the number of frames shown, of the last round of each run, by model."""
    found: dict[str, Curve] = {}
    for run in (run for run in config.runs() if run.data == data):
        shares = [share for share in config.rounds if at_share(config, run, share)]
        measured = result(run, config.stop(run, shares[-1])).measured["recall"] if shares else None
        if measured:
            curve = found.setdefault(run.model, Curve([], []))
            for given, point in zip(measured["given"], measured["model"]["rest"], strict=True):
                _add(curve, given, point["value"])
    return found


def _draw(axes: Axes, curves: dict[str, Curve], metric: Metric, what: str, levels: Sequence[float] = ()) -> None:
    """Draw curves, the axis wide enough for what else is there at `levels`."""
    for model, curve in curves.items():
        axes.plot(curve.x, curve.means, color=colour(model), label=label(model), marker=marker(len(curve.x)))
        for x, values in zip(curve.x, curve.seeds, strict=True):
            if len(values) > 1:
                axes.plot([x] * len(values), values, ".", color=colour(model), alpha=0.4)
    axes.set_xlabel(what)
    axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    if metric.kind == "share":
        axes.set_ylim(0, 1.05)
    else:
        ours = [np.asarray(values) for curve in curves.values() for values in curve.seeds]
        scale(axes, [*ours, np.asarray(levels)] if levels else ours)


def colour(model: str) -> str:
    """Return the colour of a row, the same in all pictures."""
    models = list(LABELS)
    return f"C{models.index(model) if model in models else len(models)}"


def _levels(axes: Axes, metric: Metric, lines: Sequence[Line]) -> None:
    """Draw floors as lines, and the paper's figures as ticks at the right edge."""
    floors = [line for line in lines if line.source == FLOOR]
    for dash, line in zip(DASHES, floors, strict=False):
        axes.axhline(line.cells[metric.name].mean, linestyle=dash, color=FLOOR_COLOUR, label=f"{line.label} (floor)")
    edge = axes.get_yaxis_transform()  # x in shares of the width
    models = {printed: model for model, printed in LABELS.items()}
    for line in lines:
        if line.source == PAPER and line.label in models:
            name = f"the paper's {line.label}" + (" (another task)" if line.about.startswith(ANOTHER_TASK) else "")
            level = [line.cells[metric.name].mean]
            axes.plot([1.0], level, "<", color=colour(models[line.label]), label=name, transform=edge, clip_on=False)
