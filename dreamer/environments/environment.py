"""What an environment of the online loop is, and how one is made.

To add one: a function that makes a `gymnasium.Env` of (H W C) uint8 pictures or of anything gymnasium can flatten, with
Discrete actions or a Box from -1 to 1; and its line in catalogue.py. The tests in tests/dreamer/environments run on it
as they are. What `reset(seed=...)` is given decides an episode, together with its actions: a run is resumed by that.

Axes: F numbers of a vector observation, A action.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import asdict, dataclass
from types import ModuleType
from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces
from gymnasium.wrappers import TimeLimit

from ...datasets.episode import ArraySpec

Sides = dict[str, ArraySpec]  # side arrays, by name


@dataclass(frozen=True)
class NoOptions:
    """An environment without options."""


def _no_sides(options: Any) -> Sides:
    return {}


@dataclass(frozen=True)
class OnlineEnvironment:
    """One entry of the catalogue."""

    description: str  # one line, for the list
    make: Callable[..., gymnasium.Env]  # picklable; imports what it needs when called; takes the fields of `options`
    options: Any  # defaults: a frozen dataclass; its fields are flags of the command
    max_steps: Callable[[Any], int]  # of the options: after so many steps an episode is cut off, which is no end of it
    slow: bool = False  # to be stepped in processes of their own
    success: Callable[[np.ndarray], bool] | None = None  # of an episode's rewards (T), where it is won or lost
    rewarded: bool = True  # without rewards a world model can be trained in it, but no agent be judged
    sides: Callable[[Any], Sides] = _no_sides  # of the options: what `info` says of the world, kept for `probe`
    extra: str = ""  # what pip installs for it: "popgym" is longdream[popgym]


class VectorObservation(gymnasium.ObservationWrapper):
    """Observations as one vector of F float32: what is discrete is one-hot, what has parts is put in a row."""

    def __init__(self, env: gymnasium.Env) -> None:
        super().__init__(env)
        flat = spaces.flatten_space(env.observation_space)
        self.observation_space = spaces.Box(
            flat.low.astype(np.float32), flat.high.astype(np.float32), flat.shape, np.float32
        )

    def observation(self, observation: Any) -> np.ndarray:
        """Return the vector, (F) float32."""
        return np.asarray(spaces.flatten(self.env.observation_space, observation), np.float32)


def make_online(make: Callable[..., gymnasium.Env], options: Any, max_steps: int) -> gymnasium.Env:
    """Return an environment as the loop takes it.

    Args:
        make: an `OnlineEnvironment`'s.
        options: its options.
        max_steps: its limit under these options.

    Returns:
        An environment with observations (H W C) uint8 or (F) float32, actions Discrete or Box(-1, 1, (A)).

    Raises:
        ValueError: if an option is out of range, or what it needs is not installed.
    """
    env = make(**asdict(options))
    actions = env.action_space
    if not _fits(env.observation_space):
        env = VectorObservation(env)
    assert isinstance(actions, spaces.Discrete) or ((actions.low == -1).all() and (actions.high == 1).all())
    return TimeLimit(env, max_steps)


def needed(module: str, extra: str) -> ModuleType:
    """Import a module that only some environments need.

    Raises:
        ValueError: naming the extra, if it is not installed.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise ValueError(f"{error}: this environment needs it; pip install 'longdream[{extra}]'") from None


def _fits(space: spaces.Space) -> bool:
    """Say whether observations are pictures or vectors as they are."""
    return isinstance(space, spaces.Box) and (space.dtype.name, len(space.shape)) in (("uint8", 3), ("float32", 1))
