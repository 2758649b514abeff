"""Whole episodes side by side: what the protocol is run on, cut so that the query's images stay with the examiner.

Axes: B batch, T time (context and query), C channels, H height, W width, A action. `context` steps are shown; the rest
is the query.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

import numpy as np
import torch
from torch import Tensor

from ..datasets.batch import Batch
from ..datasets.episode import NO_TELEPORT, Episode


class EpisodeSource(Protocol):
    """Where episodes come from; `datasets.reader.EpisodeDataset` is one."""

    def episode(self, index: int) -> Episode:
        """Return episode `index`."""


class Layout(NamedTuple):
    """What all evaluated episodes have in common, so that they can lie side by side."""

    context: int  # steps that the model is shown
    length: int  # T, context and query
    image: tuple[int, ...]  # (H, W, C)
    actions: int  # A

    @property
    def query(self) -> int:
        """Number of steps that the model has to imagine."""
        return self.length - self.context


def layout(episode: Episode) -> Layout:
    """Return the layout of an episode.

    Raises:
        ValueError: it has no context to observe or no query to imagine.
    """
    found = Layout(int(episode.context), len(episode), tuple(episode.image.shape[1:]), episode.action.shape[1])
    if not 0 < found.context < found.length:
        raise ValueError(
            f"an episode of {found.length} steps with a context of {found.context} has no query to imagine; "
            "evaluate on a data set whose episodes have a context and a query"
        )
    return found


class Trials(NamedTuple):
    """A batch of episodes under examination."""

    batch: Batch  # context and query
    pad: Tensor  # (B T) bool, steps that only fill the episode up
    context: int
    rows: Tensor  # (B) int64, position among the evaluated episodes
    indices: tuple[int, ...]  # (B) index in the data set
    teleported: int  # how many of them start the query from an earlier pose

    def shown(self) -> Batch:
        """Return the context as a copy of its own: a view would carry the query's images along in its storage."""
        return Batch(*(x.clone(memory_format=torch.contiguous_format) for x in self.batch.window(0, self.context)))

    def query_actions(self) -> Tensor:
        """Return all that is told about the query: the actions (B Q A)."""
        return self.batch.action[:, self.context :].clone()

    def to(self, device: torch.device) -> Trials:
        """Return the trials with their tensors on `device`."""
        return self._replace(batch=self.batch.to(device), pad=self.pad.to(device), rows=self.rows.to(device))


def load(source: EpisodeSource, indices: Sequence[int], rows: Sequence[int], expected: Layout) -> Trials:
    """Read episodes `indices`, the evaluation's `rows`, into one batch.

    Raises:
        ValueError: an episode is not laid out as `expected`.
    """
    episodes = [source.episode(index) for index in indices]
    for index, episode in zip(indices, episodes, strict=True):
        if layout(episode) != expected:
            raise ValueError(
                f"episode {index} is {layout(episode)}, the first evaluated one {expected}; "
                "evaluate a data set whose episodes are of one kind"
            )
    return Trials(
        stack(episodes),
        torch.from_numpy(np.stack([episode.pad for episode in episodes])).bool(),
        expected.context,
        torch.tensor(rows),
        tuple(indices),
        sum(episode.teleport_from != NO_TELEPORT for episode in episodes),
    )


def stack(episodes: Sequence[Episode]) -> Batch:
    """Return episodes of one length as a batch (B T ...)."""
    return Batch(
        torch.from_numpy(np.stack([np.moveaxis(e.image, -1, 1) for e in episodes])),  # (T H W C) -> (B T C H W)
        torch.from_numpy(np.stack([e.action for e in episodes]).astype(np.float32)),
        torch.from_numpy(np.stack([e.reward for e in episodes]).astype(np.float32)),
        1 - torch.from_numpy(np.stack([e.terminal for e in episodes]).astype(np.float32)),
        torch.from_numpy(np.stack([e.is_first for e in episodes]).astype(bool)),
    )
