"""An evaluation's episode beside what the world model imagines of it, as `longdream imagine` draws it.

The model watches the first half, or all but the last steps of a long episode, and imagines the rest from the actions
that the agent took.

Axes: T time.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ..datasets.episode import CONTEXT, QUERY, Episode
from ..eval.film import shoot
from ..eval.imagine import Format, write
from .agent import Mind
from .environments.vector import Steps

IMAGINED = 64  # steps, at most
SEEN = 40  # steps that a film shows of what the model watched
SEED = 0  # of the model's draws
NAME = "imagination"


class Single(NamedTuple):
    """A source of one episode, for `eval`."""

    only: Episode

    def episode(self, index: int) -> Episode:
        """Return it."""
        return self.only


def save_film(mind: Mind, steps: Sequence[Steps], path: Path) -> Path:
    """Draw an episode (T steps, each of one row) beside its imagination.

    Returns:
        The file: `path` as a GIF of images, or as a PNG with curves of vectors.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    episode = as_episode(steps)
    kind: Format = "gif" if episode.obs.ndim == 4 else "png"
    file = path.with_suffix(f".{kind}")
    write(shoot({NAME: mind.model}, Single(episode), 0, SEED, mind.device), file, kind, SEEN)
    return file


def as_episode(steps: Sequence[Steps]) -> Episode:
    """Return an episode (T steps, each of one row), with its context and query marked."""
    length = len(steps)
    context = length - min(length // 2, IMAGINED)
    columns = Steps(*(np.concatenate(parts) for parts in zip(*steps, strict=True)))
    return Episode(
        obs=columns.obs,
        action=columns.action,
        reward=columns.reward,
        is_first=columns.first,
        terminal=columns.terminal,
        phase=np.where(np.arange(length) < context, CONTEXT, QUERY).astype(np.uint8),
        pad=np.zeros(length, bool),
        context=context,
        seed=0,
    )
