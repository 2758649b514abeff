"""Memory Maze itself: the package's physics and pictures, mended where it is broken and sped up where it is slow.

* `import memory_maze` fails without the dead package gym, so its modules are imported past its `__init__`.
* The package looks for touched objects in a Python loop over all contacts, 50 times a step; here numpy looks.
* It gives each of the ten blocks of walls its own copy of all wall textures; here they share one.

Both changes are made to our own environments only, and neither changes a frame or a reward (the tests compare them).
Headless it needs OpenGL; on a machine without a graphics card MUJOCO_GL=osmesa is the alternative to EGL.

Axes: P pixels across a frame.
"""

from __future__ import annotations

import importlib.util
import logging
import os
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from types import FunctionType, MethodType, ModuleType, SimpleNamespace
from typing import Any

import numpy as np

from ...datasets.frames.scene import FLOORS, WALLS
from .memory_maze_draw import Maze, Place, package_seed, rules
from .memory_maze_world import Moment
from .walker import Walker

ADVICE = (
    "Memory Maze by `mujoco` needs Python 3.11 or 3.12, memory-maze and mujoco (pip install 'memory-maze>=1.0.3' "
    "'mujoco>=3.17,<4'), and OpenGL, headless from the Debian packages libegl1 and libgl1; `raycast` needs no OpenGL"
)
MISSING = (ImportError, AttributeError, RuntimeError, OSError)  # what comes when one of these is not there


class StockMaze:
    """A maze of the package in which an episode goes on; it is to be closed."""

    def __init__(self, cells: int, seed: int, size: int = 64, patched: bool = True) -> None:
        """Make the maze `memory_maze_9x9(seed=seed, global_observables=True)` would make at its first reset.

        Args:
            cells: across the maze.
            seed: 0 to 2^64 - 1.
            size: P.
            patched: with our changes; without them it is the package as it is, to compare with.

        Raises:
            ValueError: if there is no maze of that size, or something is not installed.
        """
        rules(cells)
        try:
            with _quiet():
                self._env = _build(cells, package_seed(seed), size, patched)
                self.observation: dict[str, Any] = self._env.reset().observation  # ExtraObs, the package's own
        except MISSING as error:
            raise ValueError(f"{ADVICE} ({error})") from None
        self.now = self._look(0.0)
        self.maze = _read(self._env, self.observation, self.now)

    @property
    def frame(self) -> np.ndarray:
        """What is seen now, (P P 3) uint8."""
        return self.observation["image"]

    def step(self, action: int) -> Moment:
        """Take one of the walker's actions."""
        step = self._env.step(int(action))
        self.observation = step.observation
        self.now = self._look(float(step.reward))
        return self.now

    def close(self) -> None:
        """Give physics and OpenGL back."""
        self._env.close()

    def _look(self, reward: float) -> Moment:
        (x, y), (east, north) = self.observation["agent_pos"].tolist(), self.observation["agent_dir"].tolist()
        heading = float(np.arctan2(north, east))
        return Moment(Walker(x + 1, y + 1, heading), int(self._env.task._current_target_ix), reward)


def _build(cells: int, seed: int | list[int], size: int, patched: bool) -> Any:
    """Return a dm_env environment of the package, with its ExtraObs."""
    tasks = package()
    make = _sharing_textures(tasks) if patched else vars(tasks)
    env = make[f"memory_maze_{cells}x{cells}"](seed=seed, global_observables=True, camera_resolution=size)
    if patched:
        for target in env.task._targets:
            target._update_activation = MethodType(_touch, target)
    return env


@lru_cache
def package() -> ModuleType:
    """Return `memory_maze.tasks`.

    Raises:
        ValueError: if it, MuJoCo or OpenGL is not installed.
    """
    try:
        return _tasks()
    except MISSING as error:
        raise ValueError(f"{ADVICE} ({error})") from None


def _tasks() -> ModuleType:
    os.environ.setdefault("MUJOCO_GL", "egl")  # as the package does
    os.environ.setdefault("LP_NUM_THREADS", "0")  # drawing in software, a frame this small is slower on threads
    if "memory_maze" not in sys.modules:
        spec = importlib.util.find_spec("memory_maze")
        if spec is None or spec.submodule_search_locations is None:
            raise ImportError("there is no memory_maze")
        hollow = ModuleType("memory_maze")
        hollow.__path__, hollow.__spec__ = list(spec.submodule_search_locations), spec
        sys.modules["memory_maze"] = hollow
    with warnings.catch_warnings():  # dm_control turns warnings on for everybody, and causes some
        warnings.simplefilter("ignore")
        return importlib.import_module("memory_maze.tasks")


def _sharing_textures(tasks: ModuleType) -> dict[str, Any]:
    """Return the functions of `tasks`, with one set of wall textures for all blocks of a maze."""
    names = dict(vars(tasks))
    names["labmaze_textures"] = SimpleNamespace(WallTextures=lru_cache(tasks.labmaze_textures.WallTextures))
    for name, value in vars(tasks).items():
        if isinstance(value, FunctionType) and value.__module__ == tasks.__name__:
            names[name] = FunctionType(value.__code__, names, name, value.__defaults__)
    return names


def _touch(target: Any, physics: Any) -> None:
    """Do what `TargetSphere._update_activation` does, without its loop over contacts."""
    if target._activated:
        return
    contact = physics.data.contact
    if (contact.geom1 == target._geom_id).any() or (contact.geom2 == target._geom_id).any():
        target._activated = True
        physics.bind(target.material).rgba[-1] = 0


def _read(env: Any, observation: dict[str, Any], now: Moment) -> Maze:
    """Return the maze that the package has drawn."""
    arena = env.task._maze_arena
    texture = {token: WALLS.index(chosen.name) for token, chosen in arena._current_wall_texture.items()}
    tokens, floors = np.array(arena.maze.entity_layer), np.array(arena.maze.variations_layer)
    walker = now.walker
    return Maze(
        free=observation["maze_layout"],
        wall_texture=np.vectorize(lambda token: texture.get(token, 0), otypes=[np.uint8])(tokens),
        floor_texture=np.where(floors == ".", FLOORS.index("blue"), FLOORS.index("blue_bright")).astype(np.uint8),
        objects=observation["targets_pos"],
        target=now.target,
        start=Place(walker.x - 1, walker.y - 1, walker.heading),
        rng=env.random_state,
    )


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep dm_control from saying that the walker has no speed to set, at every reset."""
    logger = logging.getLogger("absl")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)
