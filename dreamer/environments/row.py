"""One environment of several, in this process or in one of its own, and replaced when it fails.

Each is a vector environment of gymnasium's with one copy in it, so that the death of a process costs that row alone.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import gymnasium
import numpy as np
from gymnasium import spaces
from gymnasium.vector import AsyncVectorEnv, AutoresetMode, SyncVectorEnv

from ...collectors.interrupts import interrupts_held
from .environment import Sides

REPLAY, FAILURE = "replay", "failure"  # an option of reset; what `info` says in place of an exception
ALONE = ("OMP_NUM_THREADS", "NUMBA_NUM_THREADS")  # several workers share the cores


class Failed(RuntimeError):
    """An environment raised an exception, or its process died."""


class Arrival(NamedTuple):
    """What a step led to."""

    obs: np.ndarray  # in a buffer that the next step overwrites
    reward: float
    terminal: bool
    truncated: bool
    sides: dict[str, np.ndarray]  # by name; those of the whole episode as well


class Guarded(gymnasium.Wrapper):
    """Tells of an exception instead of raising it, replays the beginning of an episode, sends what is asked of `info`.

    Side arrays of the whole episode are sent when it begins, those of a step with each.
    """

    def __init__(self, env: gymnasium.Env, sides: Sides) -> None:
        super().__init__(env)
        self._sides = sides

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """Begin an episode, and take the actions in `options`, if any: the observation is that after them."""
        try:
            observation, info = self.env.reset(seed=seed)
            whole = self._sent(info, per_step=False)
            for action in (options or {}).get(REPLAY, ()):
                observation, *_, info = self.env.step(action)
            return observation, whole | self._sent(info, per_step=True)
        except Exception as error:  # whatever an environment can raise: the run goes on without that episode
            return self._blank(), {FAILURE: _told(error)}

    def step(self, action: Any) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        """Take one action. An episode that has ended is not cut off."""
        try:
            observation, reward, terminal, truncated, info = self.env.step(action)
            sides = self._sent(info, per_step=True)
        except Exception as error:
            return self._blank(), 0.0, False, False, {FAILURE: _told(error)}
        return observation, float(reward), bool(terminal), bool(truncated and not terminal), sides

    def _sent(self, info: dict[str, Any], per_step: bool) -> dict[str, np.ndarray]:
        wanted = {name: spec for name, spec in self._sides.items() if spec.per_step == per_step}
        return {name: np.asarray(info[name], spec.dtype).reshape(spec.shape) for name, spec in wanted.items()}

    def _blank(self) -> np.ndarray:
        space = self.observation_space
        return np.zeros(space.shape, space.dtype)


class _Spaces(gymnasium.Env):
    """Stands in for an environment where gymnasium only asks for its spaces."""

    def __init__(self, observation_space: spaces.Box, action_space: spaces.Space) -> None:
        self.observation_space, self.action_space = observation_space, action_space


class _InWorker:
    """Makes the environment in a worker; in the process it comes from, only the spaces: making one can take seconds."""

    def __init__(self, make: Callable[[], gymnasium.Env], like: gymnasium.Env, sides: Sides) -> None:
        self._make, self._sides, self._home = make, sides, os.getpid()
        self._spaces = (like.observation_space, like.action_space)

    def __call__(self) -> gymnasium.Env:
        if os.getpid() == self._home:
            return _Spaces(*self._spaces)
        os.environ.update(dict.fromkeys(ALONE, "1"))
        return Guarded(self._make(), self._sides)


class Row:
    """One environment: `begin` or `step`, then `receive`, while other rows are at work."""

    _vector: Any  # of gymnasium's, with one copy
    _answer: Callable[[], Any] | None  # gets what was asked for

    def __init__(self, make: Callable[[], gymnasium.Env], like: gymnasium.Env, process: bool, sides: Sides) -> None:
        """Open the environment.

        Args:
            make: makes it; picklable.
            like: one of its kind, for its spaces.
            process: give it a process.
            sides: what is asked of its `info`.
        """
        self._make, self._like, self._process, self._sides = make, like, process, sides
        self._known: dict[str, np.ndarray] = {}  # the latest of each side array
        self._open()

    def begin(self, seed: int, replay: np.ndarray | tuple[()] = ()) -> None:
        """Ask for a new episode, in which some actions are taken at once."""
        self._ask("reset", seed=[seed], options={REPLAY: replay})

    def step(self, action: np.ndarray) -> None:
        """Ask for one step; `action` is a number, () int64, or (A) float32."""
        self._ask("step", actions=action[None])

    def receive(self) -> Arrival:
        """Return what was asked for.

        Raises:
            Failed: the row is to be replaced.
        """
        assert self._answer is not None, "nothing was asked for"
        try:
            obs, *outcome, info = self._answer()
        except (EOFError, OSError):
            raise Failed(self._death()) from None
        self._answer = None
        if FAILURE in info:
            raise Failed(info[FAILURE][0])
        reward, terminal, truncated = outcome or ([0.0], [False], [False])
        self._known = self._known | {name: info[name][0] for name in self._sides if name in info}
        return Arrival(obs[0], float(reward[0]), bool(terminal[0]), bool(truncated[0]), self._known)

    def replace(self) -> None:
        """Open a new environment in place of this one."""
        self.close()
        self._open()

    def close(self) -> None:
        """Close it; no process is left, whatever it was doing."""
        if self._answer is None or not self._process:
            try:
                self._vector.close()
                return
            except (EOFError, OSError):
                pass  # it died at rest
        self._kill()

    def _open(self) -> None:
        self._answer = None
        disabled = AutoresetMode.DISABLED
        if not self._process:
            guarded = [lambda: Guarded(self._make(), self._sides)]
            self._vector = SyncVectorEnv(guarded, copy=False, autoreset_mode=disabled)
            return
        make = _InWorker(self._make, self._like, self._sides)
        try:
            with interrupts_held():  # spawn: fork copies threads' locks, and GL contexts
                self._vector = AsyncVectorEnv([make], copy=False, context="spawn", autoreset_mode=disabled)
        except (EOFError, OSError):
            raise Failed("its process died before it was ready") from None

    def _ask(self, what: str, **words: Any) -> None:
        if not self._process:
            self._answer = partial(getattr(self._vector, what), **words)
            return
        self._answer = getattr(self._vector, f"{what}_wait")
        try:
            getattr(self._vector, f"{what}_async")(**words)
        except OSError:  # nobody reads at the other end of the pipe
            self._answer = partial(_raise, Failed(self._death()))

    def _death(self) -> str:
        process = self._vector.processes[0]
        process.join(1)
        return f"its process died (exit code {process.exitcode}; -9 is often: out of memory)"

    def _kill(self) -> None:
        """End a process that does not answer; gymnasium's `close` would wait for its answer."""
        for process in self._vector.processes:
            process.kill()
            process.join()
        for pipe in self._vector.parent_pipes:
            pipe.close()
        self._vector.closed = True


def _raise(error: Exception) -> None:
    raise error


def _told(error: Exception) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split())
