"""An oracle for memory: it is told every true pose, and replays the frame of the context that was seen nearest to it.

It is the nearest pose in tables and figures, and says how much of the query the context has shown at all. Where
poses come again exactly (the 2D maps, a teleport) it is exact but for what has changed since or was never looked at;
where they do not (walking through the rooms), a picture from half a cell away has a large error, and a model that knows
the world and not only its frames is far better. So it stands beside the floors, and is no bound.

Two poses are as far apart as sqrt(|p - q|^2 + (TURN |d - e|)^2), with positions p, q in cells and headings d, e as unit
vectors. Of equally near frames the latest is replayed.

Axes: B batch, T context steps, Q query steps, C channels, H height, W width.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from ..datasets.episode import Episode
from .metrics import on_scale, squared_error

TURN = 2.0  # cells that a turn by one radian is worth; 1.5 to 3 give the least error in Two and Four Rooms
STEPS_AT_ONCE = 64  # frames replayed at once


def has_pose(episode: Episode) -> bool:
    """Return whether an episode tells where the agent is and which way it faces, in two dimensions."""
    names = ("agent_pos", "agent_dir")
    return all(name in episode.extras and episode.extras[name].shape == (len(episode), 2) for name in names)


def poses(episode: Episode) -> np.ndarray:
    """Return the poses of an episode's steps, (T 4) float64, so that their Euclidean distance is the oracle's."""
    parts = [np.asarray(episode.extras["agent_pos"]), TURN * np.asarray(episode.extras["agent_dir"])]
    return np.concatenate(parts, -1, dtype=np.float64)


def nearest(seen: Tensor, asked: Tensor) -> Tensor:
    """Return which pose seen (B T 4) is the nearest to each one asked for (B Q 4), the latest of equals: (B Q)."""
    distance = torch.cdist(asked, seen.flip(1), compute_mode="donot_use_mm_for_euclid_dist")  # (B Q T), exact at 0
    return seen.shape[1] - 1 - distance.argmin(-1)


def replay_error(seen: Tensor, chosen: Tensor, truth: Tensor) -> Tensor:
    """Return the squared error (B Q) float64 of replaying frames of `seen` in place of `truth`.

    Args:
        seen: (B T C H W) uint8.
        chosen: (B Q) int64, which of the T frames.
        truth: (B Q C H W) uint8.
    """
    row = torch.arange(len(seen), device=seen.device)[:, None]
    pairs = zip(chosen.split(STEPS_AT_ONCE, 1), truth.split(STEPS_AT_ONCE, 1), strict=True)
    return torch.cat([squared_error(on_scale(seen[row, c]), x) for c, x in pairs], 1)
