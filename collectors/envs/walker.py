"""How the agent moves through rooms: speeds lag behind what the action asks for, and walls stop it.

Speed v follows dv/dt = (v_wanted - v) / tau, exactly solved over one step; so does the turning speed, with its own tau.
The four constants are fitted to the rolling ball of Memory Maze: without its physics, 0.06 cells off after 40 steps.
All is plain float64 arithmetic on one state: kept and put back, it goes on to the bit.
"""

from __future__ import annotations

import math
from enum import IntEnum
from typing import NamedTuple


class Action(IntEnum):
    """The actions of the rooms, in Memory Maze's order."""

    NOOP = 0
    FORWARD = 1
    LEFT = 2
    RIGHT = 3
    FORWARD_LEFT = 4
    FORWARD_RIGHT = 5


class Walker(NamedTuple):
    """Where the agent is and how it moves."""

    x: float  # cells, from the left of the map with its outer walls
    y: float  # cells, from the bottom
    heading: float  # radians, counter-clockwise from +x; it may exceed a turn
    speed: float = 0.0  # cells a step, forward
    turning: float = 0.0  # radians a step, counter-clockwise


SPEED, SPEED_LAG = 0.25, 0.75  # cells a step; steps
TURNING, TURNING_LAG = math.radians(18.4), 0.236  # radians a step; steps
RADIUS = 0.15  # cells; to walls, the agent is a square of twice that
WANTED = tuple(  # by action: speed and turning
    (SPEED if "FORWARD" in action.name else 0.0, TURNING * (("LEFT" in action.name) - ("RIGHT" in action.name)))
    for action in Action
)

# What is left of a lag after one step, and its mean over the step.
SPEED_KEPT, TURNING_KEPT = math.exp(-1 / SPEED_LAG), math.exp(-1 / TURNING_LAG)
SPEED_MEAN, TURNING_MEAN = SPEED_LAG * (1 - SPEED_KEPT), TURNING_LAG * (1 - TURNING_KEPT)


def advance(walker: Walker, action: int, solid: bytes, width: int) -> Walker:
    """Return the walker after one step.

    Args:
        walker: before it; inside a map whose outer ring is wall.
        action: 0 to 5.
        solid: walls, nonzero at y * width + x.
        width: of the map, in cells.
    """
    x, y, heading, speed, turning = walker
    wanted_speed, wanted_turning = WANTED[action]
    too_fast, too_turning = speed - wanted_speed, turning - wanted_turning
    distance = wanted_speed + too_fast * SPEED_MEAN
    turn = wanted_turning + too_turning * TURNING_MEAN
    middle = heading + turn / 2  # the way is straight, along the mean heading
    there = x + distance * math.cos(middle)
    if is_free(there, y, solid, width):  # one axis after the other: it slides along walls
        x = there
    there = y + distance * math.sin(middle)
    if is_free(x, there, solid, width):
        y = there
    return Walker(
        x, y, heading + turn, wanted_speed + too_fast * SPEED_KEPT, wanted_turning + too_turning * TURNING_KEPT
    )


def is_free(x: float, y: float, solid: bytes, width: int) -> bool:
    """Say whether the walker fits in at (x, y)."""
    left, right = int(x - RADIUS), int(x + RADIUS)
    bottom, top = int(y - RADIUS) * width, int(y + RADIUS) * width
    return not (solid[bottom + left] or solid[bottom + right] or solid[top + left] or solid[top + right])
