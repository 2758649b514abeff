"""What one episode is: the arrays every environment writes and every evaluator reads.

Axes: T time (observations), H height, W width, C channels, F features, A action.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, NamedTuple

import numpy as np

NO_TELEPORT = -1  # `teleport_from` of an episode without a teleport
CONTEXT, QUERY = 0, 1  # values of `phase`
IMAGE, VECTOR = "image", "vector"  # what the array of the observations is called, by what they are


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


class Observation(NamedTuple):
    """What is observed: the array that `Episode.obs` is stored as."""

    name: str  # "image" or "vector"
    spec: ArraySpec  # uint8 (H W C), or float32 (F)


@dataclass(frozen=True)
class Episode:
    """One episode in memory. One clock: `action[t]` LED TO `obs[t]`; `action[0]` is all zeros.

    `extras` holds the environment's side arrays (`agent_pos`, `door_state`, ...): with a leading time axis, or one
    value an episode, as the data set's `ArraySpec`s say.
    """

    obs: np.ndarray  # (T H W C) uint8 images, or (T F) float32 vectors
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

    def named(self, observation: str) -> dict[str, Any]:
        """Return all that it holds by the names it is stored under; `observation` is that of `obs`."""
        core = {field.name: getattr(self, field.name) for field in fields(self) if field.name != "extras"}
        return {observation: core.pop("obs"), **core, **self.extras}

    @classmethod
    def from_named(cls, arrays: Mapping[str, Any]) -> Episode:
        """Return the episode whose arrays have these names."""
        observation = observation_name(arrays)
        core: dict[str, Any] = {
            name: arrays[name] if spec.per_step else int(arrays[name]) for name, spec in COMMON.items()
        }
        extras = {name: value for name, value in arrays.items() if name not in (observation, "action", *COMMON)}
        return cls(obs=arrays[observation], action=arrays["action"], extras=extras, **core)


COMMON = {  # what all episodes have besides their observations and actions
    "reward": ArraySpec("float32", ()),
    "is_first": ArraySpec("bool", ()),
    "terminal": ArraySpec("bool", ()),
    "phase": ArraySpec("uint8", ()),
    "pad": ArraySpec("bool", ()),
    "context": ArraySpec("int32", (), per_step=False),
    "seed": ArraySpec("uint64", (), per_step=False),
    "teleport_from": ArraySpec("int32", (), per_step=False),
}


def observation_name(arrays: Mapping[str, Any]) -> str:
    """Return which of the arrays holds the observations: "image" where there is one (or nothing), else "vector"."""
    return VECTOR if VECTOR in arrays and IMAGE not in arrays else IMAGE


def core_arrays(observation: tuple[int, ...], actions: int, action_dtype: str = "uint8") -> dict[str, ArraySpec]:
    """Return the specification of the arrays that every episode has, by the names they are stored under.

    Args:
        observation: (H, W, C) of one image, or (F,) of one vector.
        actions: A, the width of the one-hot (or continuous) action.
        action_dtype: "uint8" for one-hot actions, "float32" for continuous ones.

    Raises:
        ValueError: if observations have another number of axes.
    """
    if len(observation) not in (1, 3):
        raise ValueError(f"observations of shape {tuple(observation)}: images have (H, W, C), vectors (F,)")
    name, dtype = (VECTOR, "float32") if len(observation) == 1 else (IMAGE, "uint8")
    return {
        name: ArraySpec(dtype, tuple(observation)),
        "action": ArraySpec(action_dtype, (actions,)),
        **COMMON,
    }
