"""The figures: curves with their floors and the nearest pose, the doors event by event, the losses of a run.

Drawn on matplotlib's Agg canvas without pyplot: no display, no global state.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter

from .charts import COPY, PAPER, Chart, door_events, run_colour
from .examined import Examined
from .losses import Losses, Series
from .reasoning import KINDS

STYLE: Any = {
    "font.size": 10,
    "axes.titlesize": 10,
    "axes.labelsize": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#e6e6e6",
    "grid.linewidth": 0.8,
    "axes.axisbelow": True,
    "legend.frameon": False,
    "lines.linewidth": 1.8,
    "figure.dpi": 130,
    "savefig.bbox": "tight",
}
MANY_POINTS = 60  # beyond this a line needs no markers, and a training curve is smoothed


def save_chart(chart: Chart, path: Path) -> None:
    """Draw the curves of a chart."""
    with matplotlib.rc_context(STYLE):
        entries = len(chart.lines) + len(chart.levels)
        figure = Figure(figsize=(8, 3.6 + 0.12 * entries), layout="constrained")
        axes = figure.add_subplot()
        for line in chart.lines:
            dash = "--" if line.dashed else "-"
            axes.plot(chart.x, line.values, dash, color=line.colour, label=line.name, marker=marker(len(chart.x)))
        for place, level in enumerate(chart.levels):
            dots: Any = (0, (1, 1 + place))
            axes.axhline(level.value, color=PAPER, linestyle=dots, linewidth=1.2, label=level.name)
        axes.set(xlabel=chart.across, ylabel=chart.up)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        drawn = [line.values for line in chart.lines] + [np.array([level.value]) for level in chart.levels]
        if chart.log:
            scale(axes, drawn)
        else:
            axes.set_ylim(0, 1.05 * max(map(np.nanmax, drawn)))
        figure.legend(*axes.get_legend_handles_labels(), loc="outside upper center", ncols=2)
        figure.savefig(path)


def save_events(examined: Sequence[Examined], path: Path) -> None:
    """Draw the share of doors told right, event by event, with 95 % intervals, floors and nearest pose."""
    told = [run.evaluation.reasoning for run in examined if run.evaluation.reasoning is not None]
    kinds = np.arange(len(KINDS))
    width = 0.8 / len(told)
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(8, 3.6), layout="constrained")
        axes = figure.add_subplot()
        for place, (run, found) in enumerate(zip(examined, told, strict=True)):
            shares = [getattr(found, kind).interval for kind in KINDS]
            spread = np.array([[s.value - s.low, s.high - s.value] for s in shares]).T.clip(0)
            where = kinds + (place - (len(told) - 1) / 2) * width
            values = [s.value for s in shares]
            colour = run_colour(place)
            axes.bar(where, values, 0.9 * width, yerr=spread, color=colour, label=run.name, ecolor="#333", capsize=3)
        for floor in door_events(examined[0].evaluation):
            ends, dash = (kinds - 0.45, kinds + 0.45), "--" if floor.dashed else "-"
            axes.hlines(floor.values, *ends, floor.colour, dash, linewidth=2.2, label=floor.name, zorder=3)
        axes.set_xticks(kinds, [f"{kind}\n({getattr(told[0], kind).cases:,})" for kind in KINDS])
        axes.set(ylim=(0, 1.05), ylabel="doors told right")
        axes.grid(False, axis="x")
        figure.legend(*axes.get_legend_handles_labels(), loc="outside upper center", ncols=3)
        figure.savefig(path)


def save_losses(losses: Losses, path: Path) -> None:
    """Draw each term of the loss over training, in panels of its own."""
    with matplotlib.rc_context(STYLE):
        columns = min(3, len(losses.terms))
        lines = -(-len(losses.terms) // columns)
        figure = Figure(figsize=(3.3 * columns + 0.6, 2.5 * lines + 0.4), layout="constrained")
        panels = figure.subplots(lines, columns, squeeze=False).flat
        for axes, (name, kinds) in zip(panels, losses.terms.items(), strict=False):
            _draw_term(axes, name, kinds)
        for axes in list(figure.axes)[len(losses.terms) :]:
            axes.set_visible(False)
        figure.legend(*_handles(figure.axes), loc="outside upper right", ncols=2)
        figure.savefig(path)


def _draw_term(axes: Axes, name: str, kinds: dict[str, Series]) -> None:
    if "train" in kinds:
        steps, values = _smooth(kinds["train"])
        axes.plot(steps, values, color=run_colour(0), linewidth=1.2, label="training")
    if "validation" in kinds:
        steps, values = kinds["validation"]
        axes.plot(steps, values, color=COPY, marker=marker(len(steps)), label="validation")
    axes.set_title(name)
    axes.set_xlabel("optimiser step")
    axes.xaxis.set_major_locator(MaxNLocator(4, integer=True))
    scale(axes, [np.asarray(series.values) for series in kinds.values()])


def _smooth(series: Series) -> Series:
    """Return means of equal stretches, so that a long noisy run reads as one line."""
    if len(series.steps) <= 4 * MANY_POINTS:
        return series
    parts = 2 * MANY_POINTS
    steps, values = (np.array_split(column, parts) for column in series)
    return Series([int(np.mean(part)) for part in steps], [float(np.mean(part)) for part in values])


def scale(axes: Axes, curves: Sequence[np.ndarray]) -> None:
    """Scale an axis to the curves that are drawn on it.

    Take a logarithmic axis where no value is negative and they span more than a factor of 5, else start at 0.

    Exact zeros lie on the axis then, which is said, and so does what is 10^5 times smaller than the largest value.
    """
    values = np.concatenate([np.ravel(curve) for curve in curves])
    values = values[np.isfinite(values)]
    high = float(values.max(initial=0))
    low = max(float(values[values > 0].min(initial=high)), high / 1e5)
    if values.min(initial=0) >= 0 and high > 5 * low:
        axes.set_yscale("log")
        if values.min() < 0.9 * low:
            axes.set_ylabel(f"{axes.get_ylabel()} (zeros on the axis)".strip())
        axes.set_ylim(0.9 * low, None)
        for line in axes.lines:
            line.set_ydata(np.maximum(np.asarray(line.get_ydata()), 0.9 * low))
            line.set_clip_on(False)  # half of a line on the axis would be hidden
        axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if high < 300 * low else (1,)))
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axes.yaxis.set_minor_formatter(NullFormatter())
    elif values.min(initial=0) >= 0:
        axes.set_ylim(0, None if high > 0 else 1)


def marker(points: int) -> str:
    return "o" if points == 1 else "." if points <= MANY_POINTS else ""


def _handles(panels: Sequence[Axes]) -> tuple[list[Any], list[str]]:
    """Return each label's first handle over all panels."""
    found: dict[str, Any] = {}
    for axes in panels:
        for handle, label in zip(*axes.get_legend_handles_labels(), strict=True):
            found.setdefault(label, handle)
    return list(found.values()), list(found)
