"""Tasks of dm_control (extra `dmc`): the state as a vector, or pictures, with each action taken twice.

Source: Tassa et al., DeepMind Control Suite, 2018; the action repeat is DreamerV3's for this suite. An episode is
always cut off after 1000 of the suite's steps.
"""

from __future__ import annotations

import os
import warnings
from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces

from .environment import needed

ADVICE = (
    "OpenGL is missing (Debian: libegl1 and libgl1, or MUJOCO_GL=osmesa); without pictures MUJOCO_GL=disable will do"
)
REPEAT = 2  # steps of the suite to an action
STEPS = 1000 // REPEAT  # of an episode
SIZE = 64  # pixels across a picture
TASKS = {"walker_stand": "stand up", "walker_walk": "walk at 1 m/s", "walker_run": "run at 8 m/s"}


class ControlTask(gymnasium.Env):
    """A task of the suite as a gymnasium environment; see the module's docstring."""

    def __init__(self, name: str, pixels: bool = False) -> None:
        """Make the environment.

        Args:
            name: one of TASKS.
            pixels: pictures (64 64 3) uint8 in place of the state, (F) float32.

        Raises:
            ValueError: if dm_control or OpenGL is not installed.
        """
        self._env, self.pixels = _load(*name.split("_")), pixels
        count = sum(int(np.prod(part.shape)) for part in self._env.observation_spec().values())
        whole = spaces.Box(-np.inf, np.inf, (count,), np.float32)
        self.observation_space = spaces.Box(0, 255, (SIZE, SIZE, 3), np.uint8) if pixels else whole
        self.action_space = spaces.Box(-1, 1, self._env.action_spec().shape, np.float32)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[np.ndarray, dict[str, Any]]:
        """Begin an episode."""
        super().reset(seed=seed)
        self._env.task.random.seed(int(self.np_random.integers(2**32)))
        return self._observe(self._env.reset().observation), {}

    def step(self, action: np.ndarray) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        """Take one action, REPEAT times."""
        reward, forces = 0.0, action.astype(np.float64)
        for _ in range(REPEAT):
            now = self._env.step(forces)
            reward += float(now.reward)
            if now.last():
                break
        ended = now.last() and now.discount == 0
        return self._observe(now.observation), reward, ended, now.last() and not ended, {}

    def close(self) -> None:
        """Give physics and OpenGL back."""
        self._env.close()

    def _observe(self, parts: dict[str, Any]) -> np.ndarray:
        if self.pixels:
            return self._env.physics.render(SIZE, SIZE, camera_id=0)
        return np.concatenate([np.ravel(part) for part in parts.values()]).astype(np.float32)


def _load(domain: str, task: str) -> Any:
    os.environ.setdefault("MUJOCO_GL", "egl")  # as memory_maze does: a process has but one
    os.environ.setdefault("LP_NUM_THREADS", "0")  # drawn in software, frames this small are slower on several threads
    try:
        with warnings.catch_warnings():  # dm_control turns warnings on for everybody, and causes some
            warnings.simplefilter("ignore")
            return needed("dm_control.suite", "dmc").load(domain, task)
    except (AttributeError, RuntimeError, OSError) as error:
        raise ValueError(f"{ADVICE} ({error})") from None
