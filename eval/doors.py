"""The doors of Multi Doors Keys: where each is in a frame, what is true of it, and what a frame shows in its place.

A frame is a view of 5 x 5 tiles that is centred on the agent and not turned. The doors' places are the environment's
(collectors/envs/multi_doors_keys.py, which the evaluation must not know; a test compares).

Axes: B batch, T time, Q query steps, D doors from the left to the right, C channels, H height, W width, I tile ids.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from ..datasets.episode import Episode

HEIGHT, SPACING, FIRST, ROW = 11, 4, 2, 3  # rows of the map; columns between doors, of the first door; the doors' row
TOGGLE = 4  # the action that tries a door
NEEDED = ("agent_pos", "agent_dir", "door_state", "door_color")  # side arrays
CLOSED, OPEN, NEITHER = 0, 1, 2  # what a frame can show


class Doors(NamedTuple):
    """What is true of the doors during the query; (B Q D) throughout."""

    tile: Tensor  # int64, where in the frame: row * VIEW + column; 0 where out of view
    seen: Tensor  # bool, in view, and not padding
    open: Tensor  # bool
    tried: Tensor  # bool, this step is the first after the agent tried the door while it was locked

    def to(self, device: torch.device) -> Doors:
        """Return the same on `device`."""
        return Doors(*(x.to(device) for x in self))


def count(episode: Episode) -> int:
    """Return the number of doors that can be read in an episode's frames; 0 where it is of another environment."""
    if any(name not in episode.extras for name in NEEDED):
        return 0
    from ..datasets.frames.tiles import FRAME  # MiniGrid is slow to import, and few data need it

    return episode.extras["door_state"].shape[-1] if episode.obs.shape[1:] == FRAME else 0


def truth(episodes: Sequence[Episode]) -> Doors:
    """Return what is true of the doors in the query of some episodes of one layout."""
    parts = [_truth(episode) for episode in episodes]
    return Doors(*(torch.from_numpy(np.stack(arrays)) for arrays in zip(*parts, strict=True)))


def _truth(episode: Episode) -> tuple[np.ndarray, ...]:
    """Return the fields of `Doors` of one episode, (Q D) each."""
    from ..datasets.frames.tiles import VIEW

    extras, query = episode.extras, slice(episode.context, None)
    x = np.rint(extras["agent_pos"][:, :1] + 0.5).astype(np.int64)  # (T 1) the agent's column and row on the map
    y = np.rint(HEIGHT - 1.5 - extras["agent_pos"][:, 1:]).astype(np.int64)
    place = FIRST + SPACING * np.arange(extras["door_state"].shape[1])  # (D)
    row, column = ROW - y + VIEW // 2, place - x + VIEW // 2  # (T 1), (T D) in the frame
    inside = (row >= 0) & (row < VIEW) & (column >= 0) & (column < VIEW)
    seen = inside & ((row != VIEW // 2) | (column != VIEW // 2)) & ~episode.pad[:, None]  # not under the agent
    state = extras["door_state"].astype(bool)  # (T D)
    before = np.concatenate([state[:1], state[:-1]])
    in_front = (x == place) & (y == ROW + 1) & (extras["agent_dir"][:, 1:] > 0.5)  # looking up at it
    tried = in_front & (episode.action[:, TOGGLE, None] > 0.5) & ~before & seen
    tile = np.where(seen, row * VIEW + column, 0)
    return tile[query], seen[query], state[query], tried[query]


def read(image: Tensor, tile: Tensor) -> Tensor:
    """Return the state that frames show at the doors' places, after the nearest of the environment's tiles.

    Args:
        image: (B T C H W) float, on the scale of [0, 1].
        tile: (B T D) int64, where in the frame.

    Returns:
        (B T D) int64: CLOSED, OPEN or NEITHER. A door of another colour is still a door.
    """
    pictures, states = (x.to(image.device) for x in _tiles())  # (I C*8*8), (I)
    side = round(image.shape[-1] / _view())
    tiles = image.unflatten(-1, (-1, side)).unflatten(-3, (-1, side))  # (B T C 5 8 5 8)
    tiles = tiles.permute(0, 1, 3, 5, 2, 4, 6).flatten(4).flatten(2, 3)  # (B T 5*5 C*8*8)
    shown = tiles.gather(2, tile[..., None].expand(-1, -1, -1, tiles.shape[-1])).float()  # (B T D C*8*8)
    distance = pictures.square().sum(1) - 2 * shown @ pictures.T  # up to a term that all tiles share
    return states[distance.argmin(-1)]


def _view() -> int:
    from ..datasets.frames.tiles import VIEW

    return VIEW


@lru_cache
def _tiles() -> tuple[Tensor, Tensor]:
    """Return the picture of every tile without an agent, (I C*8*8) float32, and the state that it shows, (I) int64."""
    from ..datasets.frames.tiles import IDS, KEY, LOCKED, tile_table  # fmt: skip
    from ..datasets.frames.tiles import OPEN as OPENED

    pictures = torch.from_numpy(np.moveaxis(tile_table()[0], -1, 1).reshape(IDS, -1) / np.float32(255))
    states = torch.full((IDS,), NEITHER)
    states[LOCKED:OPENED], states[OPENED:KEY] = CLOSED, OPEN
    return pictures, states
