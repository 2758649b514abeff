"""What one episode is: the arrays every environment writes and every evaluator reads.

Axes: T time (observations), H height, W width, C channels, A action.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

NO_TELEPORT = -1  # `teleport_from` of an episode without a teleport
CONTEXT, QUERY = 0, 1  # values of `phase`


class EpisodeSpec(NamedTuple):
    """Lengths of the two phases of an episode, in observations."""

    context: int  # C: what the model is shown
    query: int  # Q: what it has to imagine, given the actions

    @property
    def length(self) -> int:
        """T = C + Q."""
        return self.context + self.query


class ArraySpec(NamedTuple):
    """Type and shape of one stored array, per step or per episode."""

    dtype: str  # a numpy dtype name: "uint8"
    shape: tuple[int, ...]  # of ONE step, or of the whole episode's value when not `per_step`
    per_step: bool = True


@dataclass(frozen=True)
class Episode:
    """One episode in memory. One clock: `action[t]` LED TO `image[t]`; `action[0]` is all zeros.

    `extras` holds the environment's side arrays (`agent_pos`, `door_state`, ...): with a leading time axis, or one
    value an episode, as the data set's `ArraySpec`s say.
    """

    image: np.ndarray  # (T H W C) uint8
    action: np.ndarray  # (T A) uint8 one-hot, or float32 where actions are continuous
    reward: np.ndarray  # (T) float32
    is_first: np.ndarray  # (T) bool
    terminal: np.ndarray  # (T) bool
    phase: np.ndarray  # (T) uint8, CONTEXT or QUERY
    pad: np.ndarray  # (T) bool, steps that only fill the episode up
    context: int  # C
    seed: int  # of this episode: `env.reset(seed=seed)` makes it again
    teleport_from: int = NO_TELEPORT  # the time step whose pose the query starts from
    extras: Mapping[str, np.ndarray] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.reward)


def core_arrays(image_shape: tuple[int, ...], actions: int, action_dtype: str = "uint8") -> dict[str, ArraySpec]:
    """Return the specification of the arrays that every episode has, by the names of `Episode`'s fields.

    Args:
        image_shape: (H, W, C) of one frame.
        actions: A, the width of the one-hot (or continuous) action.
        action_dtype: "uint8" for one-hot actions, "float32" for continuous ones.
    """
    return {
        "image": ArraySpec("uint8", tuple(image_shape)),
        "action": ArraySpec(action_dtype, (actions,)),
        "reward": ArraySpec("float32", ()),
        "is_first": ArraySpec("bool", ()),
        "terminal": ArraySpec("bool", ()),
        "phase": ArraySpec("uint8", ()),
        "pad": ArraySpec("bool", ()),
        "context": ArraySpec("int32", (), per_step=False),
        "seed": ArraySpec("uint64", (), per_step=False),
        "teleport_from": ArraySpec("int32", (), per_step=False),
    }
