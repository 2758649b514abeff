"""The map as a model knows it: predicted walls and objects beside the true ones, at some steps of some episodes.

Axes: K steps, S cells across the map, M objects.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from ..datasets.reader import EpisodeDataset
from ..eval.figures import STYLE
from .examination import PROBE, Examined
from .examples import read_sides, sides_of

EPISODES = 3  # the first ones: no choice, so no flattery
STEPS = 4  # evenly spaced, the last one among them
COLOURS = matplotlib.color_sequences["tab10"]  # of objects, in their order
WALL, FREE = 0.25, 0.95  # greys
POSE = ("agent_pos", "agent_dir")


class Map(NamedTuple):
    """What is on a map at one step; what is not known is None."""

    cells: np.ndarray | None  # (S S), 1 = free, row 0 at the bottom
    points: list[np.ndarray]  # (M 2) of every task that has some


class Picture(NamedTuple):
    """One step of an episode."""

    episode: int
    step: int
    truth: Map
    probe: Map
    position: np.ndarray  # (2)
    direction: np.ndarray  # (2)


def pictures(found: Sequence[Examined], source: EpisodeDataset, test: Sequence[int]) -> list[list[Picture]]:
    """Return what to draw, by episodes; nothing if no task is about a map."""
    tasks = [examined for examined in found if PROBE in examined.rows]
    rows = [_episode(tasks, source, episode) for episode in test[:EPISODES] if tasks]
    return [row for row in rows if row and (row[0].truth.cells is not None or row[0].truth.points)]


def save_maps(rows: Sequence[Sequence[Picture]], path: Path) -> None:
    """Draw each episode's truth and, below it, what the probes say: dots where they say, circles where it is."""
    with matplotlib.rc_context(STYLE):
        columns = max(map(len, rows))
        figure = Figure(figsize=(2.1 * columns + 0.9, 4.3 * len(rows)), layout="constrained")
        panels = figure.subplots(2 * len(rows), columns, squeeze=False)
        for number, row in enumerate(rows):
            for column, picture in enumerate(row):
                upper, lower = panels[2 * number, column], panels[2 * number + 1, column]
                _draw(upper, picture, picture.truth, hollow=None)
                _draw(lower, picture, picture.probe, hollow=picture.truth)
                upper.set_title(f"step {picture.step}")
            panels[2 * number, 0].set_ylabel(f"episode {row[0].episode}\ntruth")
            panels[2 * number + 1, 0].set_ylabel("probe")
        figure.savefig(path)


def _episode(tasks: Sequence[Examined], source: EpisodeDataset, episode: int) -> list[Picture]:
    if not all(name in source.info.arrays for name in POSE):
        return []
    length = source.length(episode)
    steps = np.unique(np.linspace(0, length - 1, STEPS + 1)[1:].round().astype(int))
    pose = read_sides(source, POSE, (), episode, 0, length)
    layers = [_layers(examined, source, episode) for examined in tasks]
    return [
        Picture(
            episode,
            int(step),
            _map([layer.truth for layer in layers], step),
            _map([layer.probe for layer in layers], step),
            pose["agent_pos"][step].numpy(),
            pose["agent_dir"][step].numpy(),
        )
        for step in steps
    ]


class _Sheet(NamedTuple):
    """What one task has to draw, at all steps."""

    cells: Tensor | None  # (T S S)
    points: Tensor | None  # (T M 2)


class _Layer(NamedTuple):
    truth: _Sheet
    probe: _Sheet


def _layers(examined: Examined, source: EpisodeDataset, episode: int) -> _Layer:
    task, row = examined.task, examined.rows[PROBE]
    sides = sides_of(task, source, episode)
    answers = task.target(sides), task.answer(row.answering(row.examples.read(episode).inputs).whole)
    return _Layer(*(_Sheet(task.cells(answer), task.points(answer, sides)) for answer in answers))


def _map(sheets: Sequence[_Sheet], step: int) -> Map:
    cells = [sheet.cells[step].numpy() for sheet in sheets if sheet.cells is not None]
    points = [sheet.points[step].numpy() for sheet in sheets if sheet.points is not None]
    return Map(cells[0] if cells else None, points)


def _draw(axes: Axes, picture: Picture, shown: Map, hollow: Map | None) -> None:
    axes.set(xticks=[], yticks=[], aspect="equal")
    axes.grid(False)
    if shown.cells is not None:
        height, width = shown.cells.shape
        grey = np.where(shown.cells == 1, FREE, WALL)
        axes.imshow(grey, cmap="gray", vmin=0, vmax=1, origin="lower", extent=(0, width, 0, height))
        axes.set(xlim=(0, width), ylim=(0, height))
    for number, points in enumerate(shown.points):
        colours = [COLOURS[index % len(COLOURS)] for index in range(len(points))]
        axes.scatter(points[:, 0], points[:, 1], c=colours, s=34, marker="oXsD"[number % 4], zorder=3)
        if hollow is not None:
            true = hollow.points[number]
            axes.scatter(true[:, 0], true[:, 1], facecolors="none", edgecolors=colours, s=70, zorder=4)
    axes.annotate(
        "",
        xy=tuple(picture.position + 0.6 * picture.direction),
        xytext=tuple(picture.position - 0.3 * picture.direction),
        arrowprops={"arrowstyle": "-|>", "color": "#c0143c", "linewidth": 1.6},
    )
