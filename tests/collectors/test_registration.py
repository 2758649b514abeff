"""Gymnasium ids."""

import subprocess
import sys

import gymnasium
import pytest

from longdream.collectors.catalogue import ENVIRONMENTS
from longdream.collectors.registration import ENTRIES, register

SIZES = {
    "longdream/DistractingMemory-v0": 100,
    "longdream/DistractingMemory100-v0": 100,
    "longdream/DistractingMemory200-v0": 200,
    "longdream/DistractingMemory400-v0": 400,
    "longdream/MultiDoorsKeys-v0": 13,
    "longdream/TwoKeys-v0": 9,
    "longdream/ThreeKeys-v0": 13,
    "longdream/FiveKeys-v0": 21,
    "longdream/SevenKeys-v0": 29,
}


@pytest.mark.parametrize("name", list(SIZES))
def test_every_id_makes_the_map_it_names(name):
    env = gymnasium.make(name)
    assert env.reset(seed=0)[0].shape == (40, 40, 3)
    assert env.unwrapped.width == SIZES[name]
    env.close()


@pytest.mark.parametrize("name", sorted(set(ENTRIES) - set(SIZES)))
def test_every_3d_id_makes_pictures_of_64_pixels(name):
    env = gymnasium.make(name)
    assert env.reset(seed=0)[0].shape == env.observation_space.shape == (64, 64, 3)
    env.close()


def test_the_catalogues_ids_are_known_to_gymnasium():
    assert {environment.gym_id for environment in ENVIRONMENTS.values()} <= set(gymnasium.registry)


def test_registering_twice_is_silent():
    register()


def test_a_fresh_process_needs_one_line_and_imports_no_environment_before():
    program = (
        "import sys, gymnasium, longdream.collectors.registration; assert 'minigrid' not in sys.modules;"
        "env = gymnasium.make('longdream.collectors.registration:longdream/TwoKeys-v0', render_mode='rgb_array');"
        "print(env.reset(seed=0)[0].shape, env.render().ndim)"
    )
    done = subprocess.run([sys.executable, "-W", "error", "-c", program], capture_output=True, text=True, timeout=60)
    assert (done.stdout.split("\n")[0], done.returncode) == ("(40, 40, 3) 3", 0), done.stderr
