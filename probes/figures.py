"""The score of every step, one panel a task: when a model knows what, beside what needs no model."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from ..eval.figures import STYLE, marker
from .examination import CONSTANT, LABELS, PROBE, Examined
from .table import TITLES
from .task import Measure

LOOK = {PROBE: ("#1f5fa8", "-"), CONSTANT: ("#d9822b", "-"), LABELS: ("#2a9d76", "--")}
LABEL = {Measure.ACCURACY: "right answers", Measure.SQUARED_ERROR: "squared error (cells²)"}


def save_curves(found: Sequence[Examined], query: int, path: Path) -> None:
    """Draw the scores along the steps; `query` is the first step of the headline."""
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(8, 2.9 * len(found) + 0.5), layout="constrained")
        panels = figure.subplots(len(found), 1, squeeze=False)[:, 0]
        for axes, examined in zip(panels, found, strict=True):
            _draw(axes, examined, query)
        figure.legend(*panels[0].get_legend_handles_labels(), loc="outside upper center", ncols=3)
        panels[-1].set_xlabel("step")
        figure.savefig(path)


def _draw(axes: Axes, examined: Examined, query: int) -> None:
    for name, row in examined.rows.items():
        colour, dash = LOOK[name]
        curve = row.marks.whole.curve
        axes.plot(np.arange(len(curve)), curve, dash, color=colour, label=TITLES[name], marker=marker(len(curve)))
    axes.axvline(query, color="#999999", linewidth=0.8, linestyle=":")
    axes.set(title=f"{examined.task.name}: {examined.task.about}", ylabel=LABEL[examined.task.measure])
    if examined.task.measure is Measure.ACCURACY:
        axes.yaxis.set_major_formatter(PercentFormatter(1))
        axes.set_ylim(None, 1.02)
    else:
        axes.set_ylim(0, None)
