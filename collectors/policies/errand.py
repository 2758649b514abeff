"""One step of the tour's script: given what the agent is about and where it is, what does it do?

In a room the agent goes to places drawn at random, looks around there, and now and then acts at random. It leaves for
the next room when the steps left for this one are just what the way there needs. Plain arithmetic on numbers: the
policy steps an environment with it, envs/room_walk.py simulates whole phases.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

from ..envs.room_map import Box, Point
from ..envs.walker import SPEED, Action, Walker

MARGIN = 0.4  # cells to the walls that places in a room keep
AT_PLACE, AT_WAY_POINT = 0.35, 0.22  # cells; nearer is there
LOOKS = 8  # looking around takes fewer steps than this
RANDOM = 0.05  # share of random actions in a room
TURN_ONLY, TURN_TOO = math.cos(math.radians(35)), math.cos(math.radians(10))  # of the angle to where it goes
CHANCES = 5  # numbers in [0, 1) that a step takes
WANDERS = -1
ACTIONS = len(Action)
NOOP, FORWARD, LEFT, RIGHT, FORWARD_LEFT, FORWARD_RIGHT = (int(action) for action in Action)


class Visit(NamedTuple):
    """One room of a phase."""

    room: Box
    ends: int  # step of the phase when the agent is to be in the next room
    way: tuple[Point, ...]  # to the next room, from the last cell of this one on; () if the agent stays here
    needs: float  # steps from that last cell on


class Errand(NamedTuple):
    """What the agent is about, and the action that it takes for that."""

    visit: int  # number of the visit
    way_point: int  # of the way to the next room; WANDERS inside the room
    x: float  # where it goes to, cells
    y: float
    look: int  # steps that it still looks around
    side: int  # LEFT or RIGHT, to look around
    action: int


def begin(walker: Walker) -> Errand:
    """Return the errand before the first step of a phase: the agent has arrived where it is."""
    return Errand(0, WANDERS, walker.x, walker.y, 0, LEFT, NOOP)


def decide(visits: Sequence[Visit], errand: Errand, walker: Walker, t: int, chance: Sequence[float]) -> Errand:
    """Return what the agent is about at step t of a phase, and so its action.

    Args:
        visits: of this phase.
        errand: of the step before.
        walker: where the agent is.
        t: 0 at the first action of the phase.
        chance: the CHANCES numbers of this step.
    """
    number, way_point, x, y, look, side, _ = errand
    here_x, here_y, heading, _, _ = walker
    room, ends, way, needs = visits[number]
    if way_point == WANDERS and way:
        exit_x, exit_y = way[0]
        if ends - t <= _length(exit_x - here_x, exit_y - here_y) / SPEED + needs:
            way_point, x, y, look = 0, exit_x, exit_y, 0
    distance = _length(x - here_x, y - here_y)
    if way_point == WANDERS:
        if distance < AT_PLACE and not look:
            x, y = place_in(room, chance[0], chance[1])
            look, side = int(LOOKS * chance[2]), LEFT if chance[3] < 0.5 else RIGHT
        if chance[4] < RANDOM:
            return Errand(number, WANDERS, x, y, max(look - 1, 0), side, int(chance[4] / RANDOM * ACTIONS))
        if look:
            return Errand(number, WANDERS, x, y, look - 1, side, side)
    elif distance < AT_WAY_POINT:
        way_point += 1
        if way_point < len(way):
            x, y = way[way_point]
        else:
            number, way_point = number + 1, WANDERS
            x, y = place_in(visits[number].room, chance[0], chance[1])
    return Errand(number, way_point, x, y, 0, side, steer(heading, x - here_x, y - here_y))


def steer(heading: float, east: float, north: float) -> int:
    """Return the action that leads to a point: turn on the spot, forward in a bend, or forward."""
    cos, sin, distance = math.cos(heading), math.sin(heading), _length(east, north)
    ahead, aside = cos * east + sin * north, cos * north - sin * east
    if ahead < TURN_ONLY * distance:
        return LEFT if aside > 0 else RIGHT
    if ahead < TURN_TOO * distance:
        return FORWARD_LEFT if aside > 0 else FORWARD_RIGHT
    return FORWARD


def place_in(room: Box, across: float, up: float) -> Point:
    """Return a place in a room, by two numbers in [0, 1)."""
    left, right, bottom, top = room
    return Point(
        left + MARGIN + across * (right - left - 2 * MARGIN), bottom + MARGIN + up * (top - bottom - 2 * MARGIN)
    )


def _length(east: float, north: float) -> float:
    return math.sqrt(east * east + north * north)
