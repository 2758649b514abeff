"""Whole episodes side by side: what the protocol is run on, cut so that the query's images stay with the examiner.

Axes: B batch, T time (context and query), C channels, H height, W width, F features, A action. `context`
steps are shown; the rest is the query.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

import numpy as np
import torch
from torch import Tensor

from ..datasets.batch import Batch
from ..datasets.episode import NO_TELEPORT, Episode, EpisodeSpec
from . import doors, oracle
from .doors import Doors


class EpisodeSource(Protocol):
    """Where episodes come from; `datasets.reader.EpisodeDataset` is one."""

    def episode(self, index: int) -> Episode:
        """Return episode `index`."""


class EpisodeSet(EpisodeSource, Protocol):
    """Episodes whose lengths are known before they are read."""

    def extent(self, index: int) -> EpisodeSpec:
        """Return the lengths of an episode's phases."""


class Layout(NamedTuple):
    """What episodes that lie side by side have in common; where all are meant, lengths are those of the longest."""

    context: int  # steps that the model is shown
    length: int  # T, context and query
    obs: tuple[int, ...]  # (H, W, C) of an image, (F,) of a vector
    actions: int  # A
    posed: bool = False  # the agent's poses are told (oracle.py)
    doors: int = 0  # D, doors whose state can be read in the frames (doors.py)
    varied: bool = False  # the evaluated episodes are not all as long

    @property
    def query(self) -> int:
        """Number of steps that the model has to imagine."""
        return self.length - self.context


def layout(episode: Episode) -> Layout:
    """Return the layout of an episode.

    Raises:
        ValueError: it has no context to observe or no query to imagine.
    """
    found = Layout(
        context=int(episode.context),
        length=len(episode),
        obs=tuple(episode.obs.shape[1:]),
        actions=episode.action.shape[1],
        posed=oracle.has_pose(episode),
        doors=doors.count(episode),
    )
    _check_phases(EpisodeSpec(found.context, found.query))
    return found


def longest(extents: Sequence[EpisodeSpec], first: Layout) -> Layout:
    """Return the layout that all evaluated episodes fit into: of the longest context and the longest query.

    Raises:
        ValueError: one has no context to observe or no query to imagine.
    """
    for extent in extents:
        _check_phases(extent)
    context, query = max(e.context for e in extents), max(e.query for e in extents)
    return first._replace(context=context, length=context + query, varied=len(set(extents)) > 1)


def _check_phases(extent: EpisodeSpec) -> None:
    if extent.context < 1 or extent.query < 1:
        raise ValueError(
            f"an episode of {extent.length} steps with a context of {extent.context} has no query to imagine; "
            "evaluate on a data set whose episodes have a context and a query"
        )


class Trials(NamedTuple):
    """A batch of episodes under examination."""

    batch: Batch  # context and query
    pad: Tensor  # (B T) bool, steps that only fill the episode up
    context: int
    rows: Tensor  # (B) int64, position among the evaluated episodes
    indices: tuple[int, ...]  # (B) index in the data set
    teleported: Tensor  # (B) bool, the query starts from an earlier pose
    poses: Tensor | None  # (B T 4) float64, of oracle.py; None where they are not told
    doors: Doors | None  # what is true of the doors in the query; None where there are none

    def shown(self) -> Batch:
        """Return the context as a copy of its own: a view would carry the query's images along in its storage."""
        return self.batch.window(0, self.context).contiguous()

    def given(self, start: int, stop: int) -> Batch:
        """Return steps `start` to `stop` (exclusive) of the query as a copy, for a model that is to see them."""
        return self.batch.window(self.context + start, self.context + stop).contiguous()

    def query_actions(self, start: int = 0) -> Tensor:
        """Return all that is told about the query from step `start` on: the actions (B Q-start A)."""
        return self.batch.action[:, self.context + start :].clone()

    def to(self, device: torch.device) -> Trials:
        """Return the trials with their tensors on `device`."""
        return self._replace(
            batch=self.batch.to(device),
            pad=self.pad.to(device),
            rows=self.rows.to(device),
            teleported=self.teleported.to(device),
            poses=None if self.poses is None else self.poses.to(device),
            doors=None if self.doors is None else self.doors.to(device),
        )


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
        torch.tensor([episode.teleport_from != NO_TELEPORT for episode in episodes]),
        torch.from_numpy(np.stack([oracle.poses(episode) for episode in episodes])) if expected.posed else None,
        doors.truth(episodes) if expected.doors else None,
    )


def stack(episodes: Sequence[Episode]) -> Batch:
    """Return episodes of one length as a batch (B T ...)."""
    return Batch(
        torch.from_numpy(np.stack([_channels_first(e.obs) for e in episodes])),
        torch.from_numpy(np.stack([e.action for e in episodes]).astype(np.float32)),
        torch.from_numpy(np.stack([e.reward for e in episodes]).astype(np.float32)),
        1 - torch.from_numpy(np.stack([e.terminal for e in episodes]).astype(np.float32)),
        torch.from_numpy(np.stack([e.is_first for e in episodes]).astype(bool)),
    )


def _channels_first(obs: np.ndarray) -> np.ndarray:
    """Return images (T H W C) as (T C H W), and vectors (T F) as they are."""
    return np.moveaxis(obs, -1, 1) if obs.ndim == 4 else obs
