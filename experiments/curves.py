"""The picture of a sweep: the error of what each model imagines, step by step, with the floors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import matplotlib
import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from ..eval.figures import STYLE, marker, scale

FLOORS = {"copy_last": ("copy last frame (floor)", "--"), "mean_context": ("mean context frame (floor)", ":")}
FLOOR_COLOUR = "#7a7a7a"
COLUMNS = 2  # panels beside each other


class Panel(NamedTuple):
    """One comparison on one data set."""

    title: str
    curves: dict[str, list[float]]  # {model: squared error of each imagined step}
    floors: dict[str, list[float]]  # the same of "copy_last" and "mean_context"


def save_panels(panels: Sequence[Panel], path: Path, colours: Mapping[str, str] | None = None) -> None:
    """Draw the panels into one PNG, a model in the same colour in each; without panels there is no picture.

    Args:
        panels: what to draw.
        path: of the PNG.
        colours: of models; by default one after the other.
    """
    if not panels:
        return
    models = list(dict.fromkeys(model for panel in panels for model in panel.curves))
    colours = colours or {model: f"C{number}" for number, model in enumerate(models)}
    columns = min(COLUMNS, len(panels))
    lines = -(-len(panels) // columns)
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(5.5 * columns, 3.6 * lines + 0.5), layout="constrained")
        grid = figure.subplots(lines, columns, squeeze=False).flat
        for axes, panel in zip(grid, panels, strict=False):
            for name, curve in panel.floors.items():
                label, dash = FLOORS[name]
                axes.plot(np.arange(1, len(curve) + 1), curve, dash, color=FLOOR_COLOUR, label=label)
            for model, curve in panel.curves.items():
                x = np.arange(1, len(curve) + 1)
                axes.plot(x, curve, color=colours[model], label=model, marker=marker(len(curve)))
            axes.set(title=panel.title, xlabel="imagined step", ylabel="squared error of a frame")
            axes.xaxis.set_major_locator(MaxNLocator(integer=True))
            scale(axes, [np.asarray(curve) for curve in (*panel.curves.values(), *panel.floors.values())])
        for axes in figure.axes[len(panels) :]:
            axes.set_visible(False)
        handles = {
            label: handle
            for axes in figure.axes
            for handle, label in zip(*axes.get_legend_handles_labels(), strict=True)
        }
        figure.legend(handles.values(), handles.keys(), loc="outside upper center", ncols=4)
        figure.savefig(path)
