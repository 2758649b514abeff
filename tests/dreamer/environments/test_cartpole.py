"""The swing-up against gymnasium's own cart and pole, and the pictures against the numbers."""

import math

import numpy as np
from gymnasium.envs.classic_control.cartpole import CartPoleEnv

from longdream.collectors.envs.cartpole_pixels import LENGTH, PER_METRE, RAIL_ROW, CartPolePixels, picture
from longdream.collectors.envs.cartpole_swingup import RAIL, CartPoleSwingUp


def test_the_cart_moves_as_gymnasiums():
    """From the same state, under its two forces, with its other integrator; for it the pole may fall."""
    theirs, ours, rng = CartPoleEnv(), CartPoleSwingUp(), np.random.default_rng(0)
    theirs.kinematics_integrator = "semi-implicit euler"
    theirs.theta_threshold_radians = theirs.x_threshold = np.inf
    theirs.reset(seed=0)
    ours.reset(seed=0)
    ours.state = np.array(theirs.state)
    for action in rng.integers(2, size=60):
        theirs.step(int(action))
        ours.step(np.array([2.0 * action - 1], np.float32))
        assert np.allclose(ours.state, theirs.state, rtol=1e-9)
    assert abs(ours.state[2]) > math.pi / 2  # it fell, and went on


def test_the_reward_says_how_upright_and_how_central():
    env = CartPoleSwingUp()
    env.reset(seed=3)
    assert abs(abs(env.state[2]) - math.pi) < 0.06  # hangs down
    rewards = {}
    for name, state in {"up": [0, 0, 0, 0], "down": [0, 0, math.pi, 0], "level": [0, 0, math.pi / 2, 0]}.items():
        env.state = np.array(state, float)
        rewards[name] = env.step(np.zeros(1, np.float32))[1]
    env.state = np.array([RAIL, 0, 0, 0])
    at_the_wall = env.step(np.zeros(1, np.float32))[1]
    assert rewards["up"] > 0.999
    assert rewards["down"] < 0.001
    assert abs(rewards["level"] - 0.5) < 0.01
    assert abs(at_the_wall) < 0.001


def test_walls_stop_the_cart_and_actions_are_limited():
    env, other = CartPoleSwingUp(), CartPoleSwingUp()
    env.reset(seed=0)
    other.reset(seed=0)
    for _ in range(200):
        observation, _, terminated, truncated, _ = env.step(np.array([9.0], np.float32))
        other.step(np.array([1.0], np.float32))
        assert not terminated
        assert not truncated
    assert observation[0] == np.float32(RAIL)
    assert observation[1] == 0
    assert np.array_equal(env.state, other.state)
    assert np.allclose(observation[2] ** 2 + observation[3] ** 2, 1)


def pole_of(frame):
    """Return where the middle of the pole's colour is, (x, y) in pixels."""
    reddish = frame[..., 0].astype(int) - frame[..., 2] > 60
    rows, columns = np.nonzero(reddish)
    return columns.mean() + 0.5, rows.mean() + 0.5


def test_pictures_show_where_cart_and_pole_are():
    for x, angle in ((0, 0), (1, 0.5), (-1.5, -1.2), (0.5, math.pi), (-0.5, 2.5)):
        column, row = pole_of(picture(x, angle))
        assert abs(column - (32 + x * PER_METRE + LENGTH / 2 * math.sin(angle))) < 1.5
        assert abs(row - (RAIL_ROW - LENGTH / 2 * math.cos(angle))) < 1.5


def test_small_motions_change_the_picture():
    assert (picture(0, 0) != picture(0.02, 0)).any()  # a fifth of a pixel
    assert (picture(0, 0) != picture(0, 0.02)).any()


def test_the_wrapper_draws_the_present_state():
    env = CartPolePixels(CartPoleEnv())
    before, _ = env.reset(seed=1)
    for _ in range(8):
        frame, *_ = env.step(1)
    x, _, angle, _ = env.unwrapped.state
    assert np.array_equal(frame, picture(x, angle))
    assert not np.array_equal(frame, before)
