"""The script of Multi Doors Keys: look at all keys and doors, then fetch each key and try it on doors.

Context: every key, then every door, both in random order, nothing taken; it ends in front of the last door.
Query: every key in random order, each taken, two different doors tried after it; at last every door in random order.

The agent goes along the corridor's middle row, turns to a key or a door, and comes back to that row the way it went.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from ..envs.grid import DOWN, LEFT, RIGHT, UP, Pose
from ..envs.multi_doors_keys import MIDDLE, SPECS, Action, MultiDoorsKeysLayout, column_of
from .open_loop import OpenLoop

DOORS_PER_KEY = 2  # tried after each key of the query
TURNS = ((), (Action.RIGHT,), (Action.RIGHT, Action.RIGHT), (Action.LEFT,))  # by (wanted - heading) % 4


class Visit(NamedTuple):
    """One errand of the agent."""

    place: int  # door or key number, from the left
    heading: int  # UP to a door, DOWN to a key
    steps: int  # from the middle row
    act: tuple[Action, ...]  # what it does there


def look_at_key(place: int) -> Visit:
    """Go to a key and leave it there."""
    return Visit(place, DOWN, 2, ())


def take_key(place: int) -> Visit:
    """Go to a key and take it."""
    return Visit(place, DOWN, 2, (Action.PICKUP,))


def try_door(place: int) -> Visit:
    """Go to a door and try to open it."""
    return Visit(place, UP, 1, (Action.TOGGLE,))


def context(layout: MultiDoorsKeysLayout, pose: Pose, rng: np.random.Generator) -> np.ndarray:
    """Return the context's actions."""
    keys = len(layout.key_color)
    key_order, door_order = rng.permutation(keys).tolist(), rng.permutation(keys).tolist()
    return tour(pose, [*map(look_at_key, key_order), *map(try_door, door_order)])


def query(layout: MultiDoorsKeysLayout, pose: Pose, rng: np.random.Generator) -> np.ndarray:
    """Return the query's actions. An order that would take too long is drawn again (see SPECS)."""
    keys = len(layout.key_color)
    while len(actions := tour(pose, draw_query(keys, rng))) > SPECS[keys].query:
        pass
    return actions


def draw_query(keys: int, rng: np.random.Generator) -> list[Visit]:
    """Return the visits of a query."""
    visits = []
    for key in rng.permutation(keys).tolist():
        doors = rng.permutation(keys)[:DOORS_PER_KEY].tolist()
        visits += [take_key(key), *map(try_door, doors)]
    return visits + list(map(try_door, rng.permutation(keys).tolist()))


def tour(pose: Pose, visits: Sequence[Visit]) -> np.ndarray:
    """Return the actions of some visits, from `pose` on; the way back from the last one is left out."""
    actions: list[int] = []
    x, y, heading = pose

    def turn(wanted: int) -> None:
        nonlocal heading
        actions.extend(TURNS[(wanted - heading) % 4])
        heading = wanted

    def forward(steps: int) -> None:
        actions.extend([Action.FORWARD] * steps)

    for place, wanted, steps, act in visits:
        if y != MIDDLE:  # back from a door above, or a key below
            back = DOWN if y < MIDDLE else UP
            actions.extend(TURNS[2])
            heading = back
            forward(abs(y - MIDDLE))
        distance = column_of(place) - x
        if distance:
            turn(RIGHT if distance > 0 else LEFT)
            forward(abs(distance))
        turn(wanted)
        forward(steps)
        actions.extend(act)
        x, y = column_of(place), MIDDLE + (steps if wanted == DOWN else -steps)
    return np.array(actions, np.int64)


POLICY = OpenLoop(context, query)
