"""The pictures of a comparison of online runs: learning curves, and where a task has lengths, the end against these."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from ..eval.charts import MEAN, run_colour
from ..eval.figures import STYLE, marker
from .compare import Group, chance
from .curve import NAMES

COLUMNS = 2  # panels beside each other


def save_curves(groups: Sequence[Group], path: Path) -> None:
    """Draw a panel for each task: every model's evaluations over environment steps, mean and seeds, and chance."""
    tasks = list(dict.fromkeys(group.task for group in groups))
    columns = min(COLUMNS, len(tasks))
    lines = -(-len(tasks) // columns)
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(5.5 * columns, 3.2 * lines + 0.5), layout="constrained")
        for axes, task in zip(figure.subplots(lines, columns, squeeze=False).flat, tasks, strict=False):
            _panel(axes, [group for group in groups if group.task == task], _colours(groups))
            axes.set(title=str(task), xlabel="environment steps")
        _finish(figure, path)


def save_span(groups: Sequence[Group], path: Path) -> bool:
    """Draw the last evaluation against the one number in which the tasks differ; return whether there is one."""
    option = spanned(groups)
    if option is None:
        return False
    measure = measured(groups)
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(6, 3.6), layout="constrained")
        axes = figure.add_subplot()
        for model, colour in _colours(groups).items():
            mine = sorted((dict(group.task.options)[option], group) for group in groups if group.model == model)
            ends = [[run.evaluations[-1][measure] for run in group.runs] for _, group in mine]
            x = [value for value, _ in mine]
            axes.plot(x, [np.mean(each) for each in ends], color=colour, label=model, marker="o")
            for value, each in zip(x, ends, strict=True):
                axes.scatter([value] * len(each), each, color=colour, s=14, alpha=0.5)
        tasks = {group.task: [each for each in groups if each.task == group.task] for group in groups}
        floors = [(dict(task.options)[option], chance(mine, measure)) for task, mine in tasks.items()]
        known = sorted((value, floor) for value, floor in floors if floor is not None)
        axes.plot([x for x, _ in known], [y for _, y in known], "--", color=MEAN, label="chance (floor)")
        axes.set(xlabel=option, ylabel=f"{NAMES[measure]}, last evaluation")
        _bound(axes, measure)
        _finish(figure, path)
    return True


def spanned(groups: Sequence[Group]) -> str | None:
    """Return the option in which the tasks differ, if they are of one environment and differ in one number."""
    tasks = {group.task for group in groups}
    names = {(task.env, tuple(name for name, _ in task.options)) for task in tasks}
    if len(tasks) < 2 or len(names) > 1:
        return None
    values = {name: {dict(task.options)[name] for task in tasks} for name in next(iter(names))[1]}
    differing = [name for name, found in values.items() if len(found) > 1]
    numeric = all(isinstance(value, int | float) for name in differing for value in values[name])
    return differing[0] if len(differing) == 1 and numeric else None


def measured(groups: Sequence[Group]) -> str:
    """Return what is drawn: successes where every run has them, else returns."""
    everywhere = all("success" in run.evaluations[-1] for group in groups for run in group.runs)
    return "success" if everywhere else "return"


def _panel(axes: Axes, groups: Sequence[Group], colours: dict[str, str]) -> None:
    measure = measured(groups)
    for group in groups:
        steps, values = group.curve(measure)
        colour = colours[group.model]
        for each in values:
            axes.plot(steps, each, color=colour, linewidth=0.8, alpha=0.4)
        axes.plot(steps, values.mean(0), color=colour, label=group.model, marker=marker(len(steps)))
    floor = chance(groups, measure)
    if floor is not None:
        axes.axhline(floor, color=MEAN, linestyle="--", label="chance (floor)")
    axes.set_ylabel(NAMES[measure])
    _bound(axes, measure)
    axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))


def _bound(axes: Axes, measure: str) -> None:
    if measure == "success":
        axes.set_ylim(0, 1.04)


def _colours(groups: Sequence[Group]) -> dict[str, str]:
    models = dict.fromkeys(group.model for group in groups)
    return {model: run_colour(place) for place, model in enumerate(models)}


def _finish(figure: Figure, path: Path) -> None:
    """Hide panels that hold nothing, put one legend above all, and replace an older picture."""
    handles: dict[str, Any] = {}
    for axes in figure.axes:
        axes.set_visible(axes.has_data())
        handles |= dict(zip(*reversed(axes.get_legend_handles_labels()), strict=True))
    figure.legend(handles.values(), handles.keys(), loc="outside upper center", ncols=3)
    draft = path.with_name(f".{path.name}.part.png")
    figure.savefig(draft)
    draft.replace(path)
