"""The pictures: frames side by side, the error along the imagined steps, the losses of the run.

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

from .evaluation import Evaluation, Picture
from .losses import Losses, Series

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
MODEL, COPY, MEAN, SEEN = "#1f5fa8", "#d9822b", "#7a7a7a", "#2a9d76"
CONTEXT = "#3d85f5"  # the border of frames that the model saw, as in the contact sheets of data sets
MANY_POINTS = 60  # beyond this a line needs no markers, and a training curve is smoothed


def save_frames(pictures: Sequence[Picture], path: Path) -> None:
    """Draw truth, imagination and absolute error of each pictured episode, after the last frames of its context."""
    with matplotlib.rc_context(STYLE):
        columns = max(len(p.context) + len(p.steps) for p in pictures)
        ratios = [1.0, 1.0, 1.0, 0.34] * len(pictures)  # a gap below each episode
        figure = Figure(figsize=(1.05 * columns + 1.1, 1.05 * sum(ratios) + 0.4))
        grid = figure.add_gridspec(len(ratios), columns, height_ratios=ratios, hspace=0.04, wspace=0.04)
        for block, picture in enumerate(pictures):
            rows = [[figure.add_subplot(grid[4 * block + row, c]) for c in range(columns)] for row in range(3)]
            _draw_episode(rows, picture)
        figure.savefig(path)


def _draw_episode(rows: list[list[Axes]], picture: Picture) -> None:
    for axes in (axes for row in rows for axes in row):
        axes.set(xticks=[], yticks=[])
        axes.grid(False)
        axes.spines[:].set_visible(False)
    shown = len(picture.context)
    for column, frame in enumerate(picture.context):
        _show(rows[0][column], frame)
        rows[0][column].spines[:].set(visible=True, color=CONTEXT, linewidth=2)
        rows[0][column].set_title(f"seen {column - shown + 1:+d}" if column < shown - 1 else "last seen", fontsize=8)
    truth = picture.truth / 255
    for column, step in enumerate(picture.steps, shown):
        true, imagined = truth[column - shown], picture.imagined[column - shown]
        rows[0][column].set_title(f"step {step + 1}", fontsize=8)
        for axes, frame in zip((row[column] for row in rows), (true, imagined, abs(true - imagined)), strict=True):
            _show(axes, frame)
    for row, name in zip(rows, (f"episode {picture.episode}\ntruth", "imagined", "|error|"), strict=True):
        row[0].set_ylabel(name, rotation=0, ha="right", va="center", labelpad=8, fontsize=9)


def _show(axes: Axes, frame: np.ndarray) -> None:
    axes.imshow(frame.squeeze(-1) if frame.shape[-1] == 1 else frame, cmap="gray", vmin=0, interpolation="nearest")


def save_curves(evaluation: Evaluation, path: Path) -> None:
    """Draw the squared error of each imagined step, with the floors above and what the model sees below."""
    context = evaluation.layout.context
    curves = [
        ("copy last frame (floor)", COPY, "-", evaluation.copy_last.every.curve),
        ("mean context frame (floor)", MEAN, "-", evaluation.mean_context.every.curve),
        ("model, imagining", MODEL, "-", evaluation.generation.every.curve),
        ("model, seeing the frames", SEEN, "--", evaluation.reconstruction.every.curve[context:]),
    ]
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(8, 4))
        axes = figure.add_subplot()
        for label, colour, dash, curve in curves:
            axes.plot(np.arange(1, len(curve) + 1), curve, dash, color=colour, label=label, marker=marker(len(curve)))
        axes.set(xlabel="imagined step", ylabel="squared error of a frame")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        scale(axes, [curve for *_, curve in curves])
        figure.legend(*axes.get_legend_handles_labels(), loc="outside upper center", ncols=2)
        figure.set_layout_engine("constrained")
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
        axes.plot(steps, values, color=MODEL, linewidth=1.2, label="training")
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
    """Take a logarithmic axis where every value is positive and they span more than a factor of 5, else start at 0."""
    low, high = min(map(np.min, curves)), max(map(np.max, curves))
    if low > 0 and high > 5 * low:
        axes.set_yscale("log")
        axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if high < 300 * low else (1,)))
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axes.yaxis.set_minor_formatter(NullFormatter())
    elif low >= 0:
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
