"""The walker: how fast it gets, what it bumps into, and that it can be put back."""

import math

import numpy as np
import pytest

from longdream.collectors.envs.map_parser import parse
from longdream.collectors.envs.walker import (
    RADIUS,
    SPEED,
    SPEED_LAG,
    TURNING,
    TURNING_LAG,
    Action,
    Walker,
    advance,
    is_free,
)

HALL = parse("""
    ****************************************
    *AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA.BB*
    *AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA*BB*
    *AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA*BB*
    *AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA*BB*
    *AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA*BB*
    ****************************************
""")


def walked(walker, actions, rooms=HALL):
    """Return the walkers after each action."""
    after = []
    for action in actions:
        walker = advance(walker, action, rooms.solid, rooms.walls.shape[1])
        after.append(walker)
    return after


def integrated(walker, action, parts=20_000):
    """Return the walker after a step without walls, by small steps through the differential equation."""
    x, y, heading, speed, turning = walker
    forward = SPEED * (action in (Action.FORWARD, Action.FORWARD_LEFT, Action.FORWARD_RIGHT))
    left = (action in (Action.LEFT, Action.FORWARD_LEFT)) - (action in (Action.RIGHT, Action.FORWARD_RIGHT))
    for _ in range(parts):
        x, y = x + speed * math.cos(heading) / parts, y + speed * math.sin(heading) / parts
        heading += turning / parts
        speed += (forward - speed) / SPEED_LAG / parts
        turning += (left * TURNING - turning) / TURNING_LAG / parts
    return Walker(x, y, heading, speed, turning)


def test_the_actions_are_memory_mazes():
    assert [action.name for action in Action] == ["NOOP", "FORWARD", "LEFT", "RIGHT", "FORWARD_LEFT", "FORWARD_RIGHT"]


@pytest.mark.parametrize("action", list(Action))
def test_a_step_solves_the_lag_exactly(action):
    """The speeds to round-off; the way is a chord, a thousandth of a cell off the curve."""
    before = Walker(8.0, 3.5, 0.7, 0.11, -0.2)
    (after,), wanted = walked(before, [action]), integrated(before, action)
    assert after[2:] == pytest.approx(wanted[2:], abs=1e-4)
    assert after[:2] == pytest.approx(wanted[:2], abs=5e-3)


def test_it_reaches_its_top_speeds():
    after = walked(Walker(2.0, 3.5, 0.0), [Action.FORWARD] * 20)
    assert after[-1].speed == pytest.approx(SPEED)
    assert after[-1].x - after[-2].x == pytest.approx(SPEED)
    assert after[-1].y == 3.5
    after = walked(Walker(2.0, 3.5, 0.0), [Action.LEFT] * 20)
    assert math.degrees(after[-1].heading - after[-2].heading) == pytest.approx(18.4)
    assert after[-1][:2] == (2.0, 3.5)
    assert walked(Walker(2.0, 3.5, 0.0), [Action.RIGHT])[0].heading < 0


def test_left_and_right_mirror_each_other():
    rng = np.random.default_rng(0)
    mirror = {2: 3, 3: 2, 4: 5, 5: 4}
    actions = rng.integers(6, size=60).tolist()
    one = walked(Walker(8.0, 3.5, 0.0), actions)[9]
    other = walked(Walker(8.0, 3.5, 0.0), [mirror.get(action, action) for action in actions])[9]
    assert one == pytest.approx((other.x, 7 - other.y, -other.heading, other.speed, -other.turning))


def test_walls_stop_it_and_it_slides_along_them():
    after = walked(Walker(2.0, 5.0, 0.6), [Action.FORWARD] * 60)
    assert all(is_free(walker.x, walker.y, HALL.solid, 40) for walker in after)
    assert after[-1].y < 6 - RADIUS
    assert after[-1].y > 6 - RADIUS - SPEED
    assert after[-1].x - after[-2].x == pytest.approx(SPEED * math.cos(0.6))


def test_it_never_leaves_the_floor():
    rng = np.random.default_rng(1)
    actions = rng.choice(6, size=20_000, p=[0.02, 0.5, 0.12, 0.12, 0.12, 0.12]).tolist()
    for walker in walked(Walker(36.0, 5.5, 0.0), actions):
        assert is_free(walker.x, walker.y, HALL.solid, 40)


def test_it_is_a_function_of_its_state():
    actions = np.random.default_rng(2).integers(6, size=300).tolist()
    whole = walked(Walker(5.0, 3.0, 1.0), actions)
    assert walked(whole[99], actions[100:]) == whole[100:]
