"""The script of Distracting Memory: look at both ends of the hallway, come back to the middle, then choose a square.

Context: to the right end, to the left room, back to the start. Query: to the right end, up or down with equal chance,
whatever the cue was: half of the episodes are rewarded.
"""

from __future__ import annotations

import numpy as np

from ..envs.distracting_memory import Action, DistractingMemoryLayout
from ..envs.grid import Pose
from .open_loop import OpenLoop


def context(layout: DistractingMemoryLayout, pose: Pose, rng: np.random.Generator) -> np.ndarray:
    """Return the context's actions; they hold no chance."""
    right_end = layout.ids.shape[1] - 2
    return _actions(
        (Action.FORWARD, right_end - pose.x),
        (Action.RIGHT, 2),
        (Action.FORWARD, right_end - 1),
        (Action.LEFT, 2),
        (Action.FORWARD, pose.x - 1),
    )


def query(layout: DistractingMemoryLayout, pose: Pose, rng: np.random.Generator) -> np.ndarray:
    """Return the query's actions."""
    turn = (Action.LEFT, Action.RIGHT)[rng.integers(2)]  # up or down
    return _actions((Action.FORWARD, layout.ids.shape[1] - 2 - pose.x), (turn, 1), (Action.FORWARD, 1))


def _actions(*runs: tuple[Action, int]) -> np.ndarray:
    """Return runs of (action, times) as one array."""
    return np.repeat([int(action) for action, _ in runs], [times for _, times in runs])


POLICY = OpenLoop(context, query)
