"""A picture of a few episodes: frames, or curves, along the time axis, with the phases.

Axes: T time, H height, W width, C channels, F features.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from .episode import QUERY, VECTOR
from .reader import EpisodeDataset

if TYPE_CHECKING:
    from matplotlib.axes import Axes

FRAMES = 16  # of an episode
BORDER = 2  # pixels of the phase's colour around a frame
LEGEND = "context blue, query orange, padding grey"
COLORS = {"context": (66, 133, 244), "query": (244, 140, 40), "padding": (150, 150, 150)}


def draw_contact_sheet(dataset: EpisodeDataset, episodes: np.ndarray, path: Path) -> None:
    """Write a PNG with a row of frames for each of `episodes`; vectors are drawn as curves.

    Raises:
        OSError: if `path` cannot be written.
        DatasetError: if the data are damaged.
    """
    from matplotlib.figure import Figure  # a second of importing that only this picture needs

    if dataset.info.observation.name == VECTOR:
        figure = Figure(figsize=(FRAMES, 0.4 + 2.2 * len(episodes)), layout="constrained")
        for place, episode in enumerate(episodes):
            _draw_curves(figure.add_subplot(len(episodes), 1, place + 1), dataset, int(episode))
        figure.suptitle(f"{dataset.info.environment}: vectors by time step; {LEGEND}", size=10)
        figure.savefig(path, dpi=100)
        return
    rows = [_row(dataset, int(episode)) for episode in episodes]
    height, width = rows[0][0].shape[:2]
    figure = Figure(figsize=(FRAMES, 0.4 + len(rows) * (FRAMES * height / width + 0.35)), layout="constrained")
    for place, (strip, times) in enumerate(rows):
        axes = figure.add_subplot(len(rows), 1, place + 1)
        axes.imshow(strip, interpolation="nearest")
        axes.set_xticks((np.arange(len(times)) + 0.5) * width / len(times) - 0.5, [str(time) for time in times], size=8)
        axes.set_yticks([])
        axes.set_ylabel(f"episode {episodes[place]}", size=8)
        axes.tick_params(length=0)
        axes.spines[:].set_visible(False)
    figure.suptitle(f"{dataset.info.environment}: frames by time step; border: {LEGEND}", size=10)
    figure.savefig(path, dpi=100)


def _draw_curves(axes: Axes, dataset: EpisodeDataset, episode: int) -> None:
    """Draw each feature of an episode's vectors (T F), above bands of the phases' colours."""
    vectors, phase, pad = (dataset.read(name, episode) for name in (VECTOR, "phase", "pad"))
    kinds = {"context": (phase != QUERY) & ~pad, "query": (phase == QUERY) & ~pad, "padding": pad}
    for kind, there in kinds.items():
        color = tuple(part / 255 for part in COLORS[kind])
        edges = np.flatnonzero(np.diff(there.astype(int), prepend=0, append=0)).reshape(-1, 2)  # of each run of steps
        bands = [(begin - 0.5, end - begin) for begin, end in edges]
        axes.broken_barh(bands, (0, 1), color=color, alpha=0.2, lw=0, transform=axes.get_xaxis_transform())
    axes.plot(vectors, linewidth=1)
    axes.set_xlim(0, max(1, len(vectors) - 1))
    axes.set_ylabel(f"episode {episode}", size=8)
    axes.tick_params(labelsize=8)


def _row(dataset: EpisodeDataset, episode: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the frames of one episode side by side (H W C), bordered, and their time steps."""
    length = dataset.length(episode)
    times = np.linspace(0, length - 1, FRAMES).astype(int)
    phase, pad = dataset.read("phase", episode), dataset.read("pad", episode)
    frames = []
    for time in times:
        frame = dataset.read("image", episode, int(time), int(time) + 1)[0]
        kind = "padding" if pad[time] else "query" if phase[time] == QUERY else "context"
        frames.append(_bordered(frame, COLORS[kind]))
    return np.concatenate(frames, 1), times


def _bordered(frame: np.ndarray, color: tuple[int, int, int]) -> np.ndarray:
    height, width, _ = frame.shape
    bordered = np.empty((height + 2 * BORDER, width + 2 * BORDER, 3), np.uint8)
    bordered[:] = color
    bordered[BORDER:-BORDER, BORDER:-BORDER] = frame  # one channel is repeated
    return bordered
