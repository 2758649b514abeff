"""Memory Maze: find the object whose colour is asked for, again and again, in a maze drawn anew in every episode.

Reward 1 for touching that object, whereupon another one is asked for. The colour is the border of the picture. There
are two ways to have it, both with the same mazes, objects, colours and starts for a seed:

    raycast (or another renderer)   a walker without physics, fitted to the package's; needs neither MuJoCo nor OpenGL
    mujoco                          the package memory_maze itself: the benchmark's very frames, rewards and physics

An episode of `collect` is a trajectory of the offline probing data: 1001 observations. Its query is what the probes are
measured on, steps 500 to 1000. Online an episode is as long as in the package.

Source: Pasukonis, Lillicrap, Hafner, Evaluating Long-Term Memory in 3D Mazes (Memory Maze), 2022; memory_maze 1.0.3.

Axes: T time, P pixels across a frame.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces

from ...datasets.episode import ArraySpec, EpisodeSpec
from ...datasets.frames.recipes import memory_maze as view_of
from ...datasets.frames.renderers import MUJOCO, render, resolved
from ...datasets.frames.scene import SPHERE_COLORS, Camera
from .memory_maze_draw import RULES, labmaze, rules
from .memory_maze_sides import extras_of, facts, follow
from .memory_maze_stock import StockMaze, package
from .memory_maze_world import MazeWorld
from .top_view import map_view
from .walker import Action

OFFLINE = EpisodeSpec(context=500, query=501)
SMALLEST = 64  # pixels, of the package's frames


@dataclass(frozen=True)
class MemoryMazeOptions:
    """What can be chosen."""

    size: int = 64
    """Pixels across a picture, a multiple of 8."""
    renderer: str = "raycast"
    """raycast: a walker without physics, drawn by the ray caster; mujoco: the package memory_maze itself."""


def spec(options: MemoryMazeOptions) -> EpisodeSpec:
    """Return the lengths of a collected episode.

    Raises:
        ValueError: if an option is out of range.
    """
    Camera(size=options.size)
    if resolved(options.renderer) == MUJOCO and options.size < SMALLEST:
        raise ValueError(f"size {options.size}: by `mujoco` {SMALLEST} or more, the package paints smaller frames over")
    return OFFLINE


def extras(cells: int, options: MemoryMazeOptions) -> dict[str, ArraySpec]:
    """Return the side arrays of mazes of so many cells."""
    return extras_of(cells)


def make_world(cells: int, options: MemoryMazeOptions, seed: int) -> MazeWorld | StockMaze:
    """Begin an episode.

    Raises:
        ValueError: if there is no maze of so many cells, or what it needs is not installed.
    """
    if options.renderer == MUJOCO:
        return StockMaze(cells, seed, options.size)
    return MazeWorld(cells, seed)


def pictures(options: MemoryMazeOptions, arrays: dict[str, np.ndarray]) -> np.ndarray:
    """Return what is seen at T steps, (T P P 3) uint8, from the side arrays of these steps and of the episode."""
    return render(*view_of(arrays, {"size": options.size}), options.renderer)


class MemoryMaze(gymnasium.Env):
    """The environment, stepwise; see the module's docstring."""

    metadata = {"render_modes": ["rgb_array"], "render_fps": 4}  # noqa: RUF012 (gymnasium's own convention)

    def __init__(
        self, cells: int = 9, size: int = 64, renderer: str = "raycast", render_mode: str | None = None
    ) -> None:
        """Make the environment.

        Args:
            cells: across the maze: 9, 11, 13 or 15.
            size: of the pictures, see `MemoryMazeOptions`.
            renderer: see `MemoryMazeOptions`.
            render_mode: None, or "rgb_array" for pictures of the whole maze.

        Raises:
            ValueError: if an argument is out of range, or something is not installed.
        """
        self.cells, self.options, self.render_mode = cells, MemoryMazeOptions(size, renderer), render_mode
        self.lengths = spec(self.options)
        rules(cells)
        (package if renderer == MUJOCO else labmaze)()
        self._world: MazeWorld | StockMaze | None = None
        self.observation_space = spaces.Box(0, 255, (size, size, 3), np.uint8)
        self.action_space = spaces.Discrete(len(Action))

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[np.ndarray, dict[str, Any]]:
        """Begin an episode in a new maze: with a seed below 2^32 in the maze that the package makes for it."""
        super().reset(seed=seed)
        self.close()
        drawn = int(self.np_random.integers(2**32)) if seed is None else seed
        self._world, self.steps = make_world(self.cells, self.options, drawn), 0
        return self._observe()

    def step(self, action: int) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        """Take one action."""
        if not self.action_space.contains(action):
            raise ValueError(f"there is no action {action!r}; they are 0 to {len(Action) - 1}")
        reward = self.world.step(int(action)).reward
        self.steps += 1
        observation, info = self._observe()
        return observation, reward, False, self.steps >= RULES[self.cells].steps, info

    @property
    def world(self) -> MazeWorld | StockMaze:
        """The maze of this episode; the policy looks at its `maze` and `now`.

        Raises:
            RuntimeError: before the first reset.
        """
        if self._world is None:
            raise RuntimeError("there is no episode yet: reset the environment first")
        return self._world

    def close(self) -> None:
        """Give back what the episode holds."""
        if self._world is not None:
            self._world.close()
            self._world = None

    def render(self) -> np.ndarray | None:
        """Return a picture of the whole maze from above, (H W 3) uint8; None without a render mode."""
        if self.render_mode is None:
            return None
        maze = self.world.maze
        walls = np.pad(maze.free[::-1] == 0, 1, constant_values=True)
        colors = SPHERE_COLORS[: len(maze.objects)]
        return map_view(walls, maze.wall_texture, maze.objects, colors, self.world.now.walker)

    def _observe(self) -> tuple[np.ndarray, dict[str, Any]]:
        """Return what is seen, and the side arrays, of this moment."""
        steps, whole = follow(self.world.maze, [self.world.now]), facts(self.world.maze)
        frame = self.world.frame
        image = pictures(self.options, steps | whole)[0] if frame is None else frame
        return image, {name: values[0] for name, values in steps.items()} | whole
