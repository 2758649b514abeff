"""What the 2D environments share: a world drawn as data, and a MiniGrid environment that shows it agent-centred.

The same drawn world feeds two paths: the MiniGrid class below steps through it, `replay.py` computes whole episodes.

Axes: T time, H rows and W columns of the map (row 0 is the top).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from gymnasium import spaces
from minigrid.core.actions import Actions
from minigrid.core.grid import Grid
from minigrid.core.mission import MissionSpace
from minigrid.minigrid_env import MiniGridEnv

from ...datasets.episode import ArraySpec
from ...datasets.frames.tiles import FRAME, MARGIN, TILE, VIEW, Change, Walk, tile_object

RIGHT, DOWN, LEFT, UP = range(4)  # headings, MiniGrid's
STEPS = np.array([(1, 0), (0, 1), (-1, 0), (0, -1)])  # (4 2) cells (x, y) that one step forward moves, y downward
UNIT = np.array([(1, 0), (0, -1), (-1, 0), (0, 1)], np.float32)  # (4 2) the same with y upward
RENDER_TILE = 16  # pixels of a tile in render(), which shows the whole map

AGENT_EXTRAS = {"agent_pos": ArraySpec("float32", (2,)), "agent_dir": ArraySpec("float32", (2,))}


class Pose(NamedTuple):
    """Where an agent stands and which way it faces."""

    x: int
    y: int
    heading: int


@dataclass(frozen=True)
class Layout:
    """A world at the start of an episode."""

    ids: np.ndarray  # (H W) uint8, tile ids of datasets/frames/tiles.py
    start: Pose


class Effects(NamedTuple):
    """What a walk through a layout brings about."""

    reward: np.ndarray  # (T) float32
    terminal: np.ndarray  # (T) bool
    changes: list[Change]  # of the map, ordered by time
    extras: dict[str, np.ndarray]  # the family's own side arrays


def cell_centre(x: Any, y: Any, height: int) -> np.ndarray:
    """Return the middles of cells in Memory Maze's frame, (... 2) float32.

    Args:
        x: columns.
        y: rows, downward.
        height: H.

    Returns:
        (x, y) in cells, y upward, origin at the bottom left corner inside the outer wall.
    """
    return np.stack([np.asarray(x) - 0.5, height - 1.5 - np.asarray(y)], axis=-1).astype(np.float32)


class GridEnvironment(MiniGridEnv):
    """A MiniGrid environment over a drawn `Layout`: the view is centred on the agent, not turned, and hides nothing."""

    metadata = {"render_modes": ["rgb_array"], "render_fps": 10}  # noqa: RUF012 (gymnasium's own convention)

    def __init__(
        self,
        draw: Callable[[np.random.Generator], Layout],
        shape: tuple[int, int],
        steps: int,
        minigrid_actions: tuple[Actions, ...],
        render_mode: str | None,
    ) -> None:
        """Make the environment.

        Args:
            draw: makes a new layout.
            shape: (H, W) of the map.
            steps: after which an episode is truncated.
            minigrid_actions: what each action is to MiniGrid.
            render_mode: None, or "rgb_array" for pictures of the whole map.
        """
        height, width = shape
        super().__init__(
            mission_space=MissionSpace(mission_func=lambda: "remember"),
            width=width,
            height=height,
            max_steps=steps,
            see_through_walls=True,
            agent_view_size=VIEW,
            render_mode=render_mode,
            highlight=False,
            tile_size=RENDER_TILE,
        )
        self.draw, self.minigrid_actions = draw, minigrid_actions
        self.observation_space = spaces.Box(0, 255, FRAME, np.uint8)
        self.action_space = spaces.Discrete(len(minigrid_actions))

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[np.ndarray, dict[str, Any]]:
        """Begin an episode in a new layout."""
        observation, _ = super().reset(seed=seed, options=options)
        return observation, self._info()

    def step(self, action: int) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        """Take one action."""
        if not self.action_space.contains(action):
            raise ValueError(f"there is no action {action!r}; they are 0 to {len(self.minigrid_actions) - 1}")
        observation, _, _, truncated, _ = super().step(self.minigrid_actions[action])
        reward, terminated = self._outcome()
        return observation, reward, terminated, truncated, self._info()

    @property
    def pose(self) -> Pose:
        """Where the agent is now."""
        return Pose(int(self.agent_pos[0]), int(self.agent_pos[1]), int(self.agent_dir))

    def gen_obs(self) -> np.ndarray:
        """Return the agent's view, (40 40 3) uint8."""
        x, y = self.agent_pos
        window = self.grid.slice(x - MARGIN, y - MARGIN, VIEW, VIEW)
        return window.render(TILE, agent_pos=(MARGIN, MARGIN), agent_dir=self.agent_dir)

    def _gen_grid(self, width: int, height: int) -> None:
        """Build a new layout out of MiniGrid's objects."""
        self.layout = self.draw(self.np_random)
        self.grid = Grid(width, height)
        for y, x in np.argwhere(self.layout.ids):
            self.grid.set(int(x), int(y), tile_object(int(self.layout.ids[y, x])))
        self.agent_pos, self.agent_dir = tuple(self.layout.start[:2]), self.layout.start.heading

    def _outcome(self) -> tuple[float, bool]:
        """Return the reward of the step just taken, and whether it ended the episode."""
        return 0.0, False

    def _info(self) -> dict[str, Any]:
        """Return the side arrays of this moment, new ones each time."""
        x, y, heading = self.pose
        return {"agent_pos": cell_centre(x, y, self.height), "agent_dir": UNIT[heading].copy()}


def agent_extras(walk: Walk, height: int) -> dict[str, np.ndarray]:
    """Return the side arrays of the agent over a whole walk: `agent_pos` and `agent_dir`, both (T 2) float32."""
    return {"agent_pos": cell_centre(walk.x, walk.y, height), "agent_dir": UNIT[walk.heading]}
