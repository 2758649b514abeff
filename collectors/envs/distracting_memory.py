"""Distracting Memory: a cue in the left room, a long hallway of coloured distractors, two squares to choose from.

    #####                 ###      m - 2 .. m + 2 of the map's 9 rows; the two squares end the column on the right
    #   ################## A#
    # C                     #      C cue, in the room off the middle row
    #   ################## B#      A, B squares of two colours, one of them the cue's
    #####                 ###

Reward 1 for standing before the square of the cue's colour, which ends the episode, as does the other one with 0.
Source: Deng et al., Facing Off World Model Backbones (S4WM), 2023; the distractors' density and the cue's place in the
room are not given there and are choices of ours.

Axes: T time, H rows and W columns of the map (row 0 is the top).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Any

import numpy as np
from minigrid.core.actions import Actions

from ...datasets.episode import ArraySpec, EpisodeSpec
from ...datasets.frames.tiles import EMPTY, PALETTE, SQUARE, WALL, Walk
from .grid import AGENT_EXTRAS, RIGHT, Effects, GridEnvironment, Layout, Pose, agent_extras, cell_centre

HEIGHT = 9
MIDDLE = HEIGHT // 2  # row of the hallway
SMALLEST = 14  # narrower, and the cue would be in view where the context ends
TOP_SQUARE, BOTTOM_SQUARE = MIDDLE - 2, MIDDLE + 2  # rows


class Action(IntEnum):
    """The actions of this family."""

    LEFT = 0
    RIGHT = 1
    FORWARD = 2


@dataclass(frozen=True)
class DistractingMemoryOptions:
    """What can be chosen."""

    width: int = 100
    """Width of the map in cells, 14 or more; the cue must be remembered for about as many steps."""
    distractors: float = 0.5
    """Share of hallway cells that are coloured, 0 to 1."""


@dataclass(frozen=True)
class DistractingMemoryLayout(Layout):
    """A drawn world; colours are indices into the palette."""

    cue: tuple[int, int]  # (x, y)
    target: int  # the cue's colour
    squares: np.ndarray  # (2) uint8, colours of the top and the bottom square


def spec(options: DistractingMemoryOptions) -> EpisodeSpec:
    """Return the lengths: the script's, which takes the same number of steps in every episode of one width.

    Raises:
        ValueError: if an option is out of range.
    """
    width, distractors = options.width, options.distractors
    if width < SMALLEST:
        raise ValueError(f"width {width}: {SMALLEST} or more, else the cue is in view when the query begins")
    if not 0 <= distractors <= 1:
        raise ValueError(f"distractors {distractors}: a share between 0 and 1")
    to_the_right_end = width - 2 - _start(width)
    return EpisodeSpec(context=2 * (width - 3) + 4 + 1, query=to_the_right_end + 2)


def extras(options: DistractingMemoryOptions) -> dict[str, ArraySpec]:
    """Return the side arrays: the agent's, and the colours that decide the reward."""
    return AGENT_EXTRAS | {
        "target_color": ArraySpec("uint8", (), per_step=False),
        "square_colors": ArraySpec("uint8", (2,), per_step=False),  # top, bottom
        "object_pos": ArraySpec("float32", (1, 2), per_step=False),  # the cue
        "object_color": ArraySpec("uint8", (1,), per_step=False),
    }


def draw(options: DistractingMemoryOptions, rng: np.random.Generator) -> DistractingMemoryLayout:
    """Draw a world."""
    ids = _walls(options.width)
    squares = rng.permutation(len(PALETTE))[:2].astype(np.uint8)
    target = int(squares[rng.integers(2)])
    place, below = divmod(int(rng.integers(6)), 2)
    cue = (1 + place, MIDDLE + (1 if below else -1))
    hallway = ids[MIDDLE, 4 : options.width - 3]
    colored = rng.random(len(hallway)) < options.distractors
    hallway[:] = np.where(colored, SQUARE + rng.integers(len(PALETTE), size=len(hallway)), EMPTY)
    ids[cue[1], cue[0]] = SQUARE + target
    ids[[TOP_SQUARE, BOTTOM_SQUARE], options.width - 2] = SQUARE + squares
    return DistractingMemoryLayout(ids, Pose(_start(options.width), MIDDLE, RIGHT), cue, target, squares)


def effects(layout: DistractingMemoryLayout, walk: Walk, action: np.ndarray) -> Effects:
    """Return what a whole walk brings about; `action` (T - 1) is not needed."""
    height, width = layout.ids.shape
    arrived = (walk.x == width - 2) & (np.abs(walk.y - MIDDLE) == 1)
    faced = layout.squares[(walk.y > MIDDLE).astype(int)]
    reward = (arrived & (faced == layout.target)).astype(np.float32)
    return Effects(reward, arrived, [], agent_extras(walk, height) | _facts(layout))


class DistractingMemory(GridEnvironment):
    """The environment, stepwise; see the module's docstring."""

    layout: DistractingMemoryLayout

    def __init__(self, width: int = 100, distractors: float = 0.5, render_mode: str | None = None) -> None:
        """Make the environment; the arguments are those of `DistractingMemoryOptions`."""
        options = DistractingMemoryOptions(width, distractors)
        steps = spec(options).length - 1
        actions = (Actions.left, Actions.right, Actions.forward)
        super().__init__(lambda rng: draw(options, rng), (HEIGHT, width), steps, actions, render_mode)

    def _outcome(self) -> tuple[float, bool]:
        x, y, _ = self.pose
        if x != self.width - 2 or abs(y - MIDDLE) != 1:
            return 0.0, False
        return float(self.layout.squares[0 if y < MIDDLE else 1] == self.layout.target), True

    def _info(self) -> dict[str, Any]:
        return super()._info() | _facts(self.layout)


def _start(width: int) -> int:
    """Return the column where an episode begins."""
    return width // 2 - 1


def _walls(width: int) -> np.ndarray:
    """Return a map without colours, (H W) uint8."""
    ids = np.full((HEIGHT, width), EMPTY, np.uint8)
    ids[[0, -1], :] = WALL
    ids[:, [0, -1]] = WALL
    ids[[MIDDLE - 2, MIDDLE + 2], 1:5] = WALL  # the room's walls above and below
    ids[[MIDDLE - 1, MIDDLE + 1], 4 : width - 3] = WALL  # the hallway's
    ids[:, width - 3] = WALL
    ids[MIDDLE, width - 3] = EMPTY
    return ids


def _facts(layout: DistractingMemoryLayout) -> dict[str, np.ndarray]:
    """Return the side arrays that hold for the whole episode."""
    target = np.array(layout.target, np.uint8)
    return {
        "target_color": target,
        "square_colors": layout.squares.copy(),
        "object_pos": cell_centre([layout.cue[0]], [layout.cue[1]], HEIGHT),
        "object_color": target[None].copy(),
    }
