"""Multi Doors Keys: N keys behind gaps below a corridor, N locked doors above it, colours drawn anew in every episode.

    #################   row 0     A key opens a locked door of its colour and is consumed. Several can be held,
    #   #   #   #   #             two doors may share a colour, and toggling an open door does nothing.
    #   #   #   #   #             The reward is 0: what there is to predict is which door opens.
    ##D###D###D###D##   row 3     D locked doors, K keys; columns are 4 apart
    #               #
    #       >       #   row 5, where the agent walks
    #               #
    ## ### ### ### ##   row 7, gaps
    # K # K # K # K #
    #   #   #   #   #
    #################   row 10

Source: Deng et al., Facing Off World Model Backbones (S4WM), 2023.

Axes: T time, H rows and W columns of the map (row 0 is the top), N doors (and keys).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Any

import numpy as np
from minigrid.core.actions import Actions
from minigrid.core.world_object import Door, Key

from ...datasets.episode import ArraySpec, EpisodeSpec
from ...datasets.frames.tiles import EMPTY, KEY, LOCKED, OPEN, PALETTE, WALL, Change, Walk
from .grid import AGENT_EXTRAS, RIGHT, STEPS, Effects, GridEnvironment, Layout, Pose, agent_extras

HEIGHT, SPACING = 11, 4
DOOR_ROW, MIDDLE, GAP_ROW, KEY_ROW = 3, 5, 7, 8

# Observations by the number of keys. A context is as long as the longest of all orders of visits (plus the first
# observation), and so is a query of 2, 3, 4 or 6 keys. Those of 5 and 7 are the published 380 and 654: the longest
# orders take 414 and 750, but 3 of 120,000 random ones exceed 380 and 0 of 60,000 exceed 654; those are drawn again.
SPECS = {
    2: EpisodeSpec(45, 92),
    3: EpisodeSpec(76, 174),
    4: EpisodeSpec(123, 284),
    5: EpisodeSpec(170, 380),
    6: EpisodeSpec(233, 572),
    7: EpisodeSpec(296, 654),
}


class Action(IntEnum):
    """The actions of this family."""

    LEFT = 0
    RIGHT = 1
    FORWARD = 2
    PICKUP = 3
    TOGGLE = 4
    NOOP = 5


@dataclass(frozen=True)
class MultiDoorsKeysOptions:
    """What can be chosen."""

    keys: int = 3
    """Number of keys and of doors, 2 to 7."""


@dataclass(frozen=True)
class MultiDoorsKeysLayout(Layout):
    """A drawn world; colours are indices into the palette, from the left to the right."""

    door_color: np.ndarray  # (N) uint8
    key_color: np.ndarray  # (N) uint8


def spec(options: MultiDoorsKeysOptions) -> EpisodeSpec:
    """Return the lengths, which every order of visits fits: what is left is filled up with no-ops.

    Raises:
        ValueError: if the number of keys is out of range.
    """
    if options.keys not in SPECS:
        raise ValueError(f"keys {options.keys}: {min(SPECS)} to {max(SPECS)}")
    return SPECS[options.keys]


def extras(options: MultiDoorsKeysOptions) -> dict[str, ArraySpec]:
    """Return the side arrays: the agent's, doors and keys from the left to the right, and what the agent holds."""
    keys = options.keys
    return AGENT_EXTRAS | {
        "door_state": ArraySpec("uint8", (keys,)),  # 0 locked, 1 open
        "inventory": ArraySpec("uint8", (len(PALETTE),)),  # keys held, by colour
        "door_color": ArraySpec("uint8", (keys,), per_step=False),
        "key_color": ArraySpec("uint8", (keys,), per_step=False),
    }


def column_of(place: int) -> int:
    """Return the map's column of door and key number `place`."""
    return SPACING * place + 2


def columns(keys: int) -> np.ndarray:
    """Return the map's columns of all doors and keys, (N)."""
    return np.array([column_of(place) for place in range(keys)])


def draw(options: MultiDoorsKeysOptions, rng: np.random.Generator) -> MultiDoorsKeysLayout:
    """Draw a world: the doors' colours are free, the keys' are the same ones in another order."""
    keys = options.keys
    doors = rng.integers(len(PALETTE), size=keys).astype(np.uint8)
    loose = rng.permutation(doors)
    ids = _walls(keys)
    ids[DOOR_ROW, columns(keys)] = LOCKED + doors
    ids[KEY_ROW, columns(keys)] = KEY + loose
    return MultiDoorsKeysLayout(ids, Pose(column_of(keys // 2), MIDDLE, RIGHT), doors, loose)


def effects(layout: MultiDoorsKeysLayout, walk: Walk, action: np.ndarray) -> Effects:
    """Return what a whole walk brings about.

    Args:
        layout: the world at the start.
        walk: T poses.
        action: (T - 1) int; action[t] is taken at pose t.
    """
    ids, steps, changes = layout.ids.copy(), len(walk.x), []
    door_state = np.zeros((steps, len(layout.door_color)), np.uint8)
    inventory = np.zeros((steps, len(PALETTE)), np.uint8)
    for t in np.flatnonzero((action == Action.PICKUP) | (action == Action.TOGGLE)).tolist():
        dx, dy = STEPS[walk.heading[t]]
        y, x = int(walk.y[t] + dy), int(walk.x[t] + dx)
        tile = int(ids[y, x])
        if action[t] == Action.PICKUP and tile >= KEY:
            inventory[t + 1 :, tile - KEY] += 1
            ids[y, x] = EMPTY
        elif action[t] == Action.TOGGLE and LOCKED <= tile < OPEN and inventory[t, tile - LOCKED]:
            inventory[t + 1 :, tile - LOCKED] -= 1
            door_state[t + 1 :, x // SPACING] = 1
            ids[y, x] = tile - LOCKED + OPEN
        else:
            continue
        changes.append(Change(t + 1, y, x, int(ids[y, x])))
    sides = agent_extras(walk, HEIGHT) | _facts(layout) | {"door_state": door_state, "inventory": inventory}
    return Effects(np.zeros(steps, np.float32), np.zeros(steps, bool), changes, sides)


class MultiDoorsKeys(GridEnvironment):
    """The environment, stepwise; see the module's docstring."""

    layout: MultiDoorsKeysLayout

    def __init__(self, keys: int = 3, render_mode: str | None = None) -> None:
        """Make the environment; the arguments are those of `MultiDoorsKeysOptions`."""
        options = MultiDoorsKeysOptions(keys)
        steps = spec(options).length - 1
        # MiniGrid holds one key and never consumes it: hands are this class's own business, a "done" to MiniGrid.
        actions = (Actions.left, Actions.right, Actions.forward, Actions.done, Actions.done, Actions.done)
        super().__init__(lambda rng: draw(options, rng), _shape(keys), steps, actions, render_mode)
        self.inventory = np.zeros(len(PALETTE), np.uint8)

    def _gen_grid(self, width: int, height: int) -> None:
        super()._gen_grid(width, height)
        self.inventory[:] = 0

    def step(self, action: int) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        """Take one action."""
        front = self.grid.get(*self.front_pos)
        if action == Action.PICKUP and isinstance(front, Key):
            self.inventory[PALETTE.index(front.color)] += 1
            self.grid.set(*self.front_pos, None)
        elif action == Action.TOGGLE and isinstance(front, Door) and front.is_locked:
            color = PALETTE.index(front.color)
            if self.inventory[color]:
                self.inventory[color] -= 1
                front.is_locked, front.is_open = False, True
        return super().step(action)

    def _info(self) -> dict[str, Any]:
        doors = [self.grid.get(x, DOOR_ROW).is_open for x in columns(len(self.layout.door_color)).tolist()]
        return (
            super()._info()
            | _facts(self.layout)
            | {"door_state": np.array(doors, np.uint8), "inventory": self.inventory.copy()}
        )


def _shape(keys: int) -> tuple[int, int]:
    """Return (H, W) of the map."""
    return HEIGHT, SPACING * keys + 1


def _walls(keys: int) -> np.ndarray:
    """Return a map with openings in place of doors and keys, (H W) uint8."""
    ids = np.full(_shape(keys), EMPTY, np.uint8)
    ids[[0, DOOR_ROW, GAP_ROW, -1], :] = WALL
    ids[:, [0, -1]] = WALL
    between = np.arange(SPACING, SPACING * keys, SPACING)
    ids[1:DOOR_ROW, between] = WALL
    ids[KEY_ROW:, between] = WALL
    ids[GAP_ROW, columns(keys)] = EMPTY
    return ids


def _facts(layout: MultiDoorsKeysLayout) -> dict[str, np.ndarray]:
    """Return the side arrays that hold for the whole episode."""
    return {"door_color": layout.door_color.copy(), "key_color": layout.key_color.copy()}
