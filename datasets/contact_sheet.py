"""A picture of a few episodes: frames along the time axis, each with its phase.

Axes: H height, W width, C channels.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from .episode import QUERY
from .reader import EpisodeDataset

FRAMES = 16  # of an episode
BORDER = 2  # pixels of the phase's colour around a frame
COLORS = {"context": (66, 133, 244), "query": (244, 140, 40), "padding": (150, 150, 150)}


def draw_contact_sheet(dataset: EpisodeDataset, episodes: np.ndarray, path: Path) -> None:
    """Write a PNG with a row of frames for each of `episodes`.

    Raises:
        OSError: if `path` cannot be written.
        DatasetError: if the data are damaged.
    """
    from matplotlib.figure import Figure  # a second of importing that only this picture needs

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
    info = dataset.info
    figure.suptitle(
        f"{info.environment}: frames by time step; border: context blue, query orange, padding grey", size=10
    )
    figure.savefig(path, dpi=100)


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
