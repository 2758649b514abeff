"""The still picture of what was imagined: frames of a few episodes; truth, imagination and error in rows.

Axes: K pictured steps, H height, W width, C channels.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from .evaluation import Picture
from .figures import STYLE

CONTEXT = "#3d85f5"  # the border of frames that the model saw, as in the contact sheets of data sets
GAP = 0.34  # below an episode, as a share of a frame's height
CELL = 1.05  # inches


def save_frames(pictures: Mapping[str, Sequence[Picture]], path: Path) -> None:
    """Draw the pictured episodes, each with truth, and imagination and absolute error of every run.

    Args:
        pictures: {run: the same episodes, in one order}.
        path: the PNG.
    """
    episodes = list(zip(*pictures.values(), strict=True))
    heights = [1.0] * (1 + 2 * len(pictures)) + [GAP]
    columns = max(len(picture.context) + len(picture.steps) for picture, *_ in episodes)
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(CELL * columns + 1.1, CELL * sum(heights) * len(episodes) + 0.4))
        grid = figure.add_gridspec(
            len(heights) * len(episodes), columns, height_ratios=heights * len(episodes), hspace=0.04, wspace=0.04
        )
        for block, shown in enumerate(episodes):
            first = block * len(heights)
            rows = [
                [figure.add_subplot(grid[first + row, c]) for c in range(columns)] for row in range(len(heights) - 1)
            ]
            _draw_episode(rows, dict(zip(pictures, shown, strict=True)))
        figure.savefig(path)


def _draw_episode(rows: list[list[Axes]], shown: dict[str, Picture]) -> None:
    for axes in (axes for row in rows for axes in row):
        axes.set(xticks=[], yticks=[])
        axes.grid(False)
        axes.spines[:].set_visible(False)
    picture = next(iter(shown.values()))
    _draw_truth(rows[0], picture)
    seen, truth = len(picture.context), picture.truth / 255
    for place, (name, run) in enumerate(shown.items()):
        imagined, error = rows[1 + 2 * place], rows[2 + 2 * place]
        for column in range(len(run.steps)):
            _show(imagined[seen + column], run.imagined[column])
            _show(error[seen + column], abs(truth[column] - run.imagined[column]))
        _name(imagined, "imagined" if len(shown) == 1 else name)
        _name(error, "|error|")


def _draw_truth(row: list[Axes], picture: Picture) -> None:
    """Draw the last frames that were seen, framed, and what followed."""
    seen = len(picture.context)
    for column, frame in enumerate(picture.context):
        _show(row[column], frame)
        row[column].spines[:].set(visible=True, color=CONTEXT, linewidth=2)
        row[column].set_title(f"seen {column - seen + 1:+d}" if column < seen - 1 else "last seen", fontsize=8)
    for column, step in enumerate(picture.steps, seen):
        _show(row[column], picture.truth[column - seen])
        row[column].set_title(f"step {step + 1}", fontsize=8)
    _name(row, f"episode {picture.episode}\ntruth")


def _name(row: list[Axes], name: str) -> None:
    row[0].set_ylabel(name, rotation=0, ha="right", va="center", labelpad=8, fontsize=9)


def _show(axes: Axes, frame: np.ndarray) -> None:
    """Draw a frame (H W C): uint8, or float in [0, 1]."""
    axes.imshow(frame.squeeze(-1) if frame.shape[-1] == 1 else frame, cmap="gray", vmin=0, interpolation="nearest")
