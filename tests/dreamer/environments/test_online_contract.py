"""What every environment of the online loop keeps to. A new one is tested here as soon as it has its line.

Those whose packages are not installed are skipped; those of one family are tested by some of them.
"""

import dataclasses
import sys

import numpy as np
import pytest
from gymnasium import spaces

from longdream.collectors.catalogue import ENVIRONMENTS
from longdream.collectors.envs.distracting_memory import DistractingMemoryOptions
from longdream.dreamer.environments.catalogue import ONLINE, find_online, list_online
from longdream.dreamer.environments.vector import Envs, episode_seed
from longdream.tests.dreamer.environments.online_drives import available, made, random_actions

ALIKE = ("multi_doors_keys_", "_teleport", "_400", "_13x13", "_15x15", "dmc_walker_stand", "dmc_walker_run", "atari_")
CHOSEN = [name for name in ONLINE if name == "atari_pong" or not any(part in name for part in ALIKE)]
OPTIONS = {
    name: dataclasses.replace(entry.options, size=8) if hasattr(entry.options, "size") else entry.options
    for name, entry in ONLINE.items()
} | {"distracting_memory": DistractingMemoryOptions(width=14)}
SHORT = 320  # steps; longer episodes are not played to their end
TERMINAL = ("memory_len", "discounting_chain", "cartpole", "popgym_repeat", "popgym_auto", "cartpole_pixels")

everywhere = pytest.mark.parametrize("name", CHOSEN)


def opened(name):
    """Make an environment, or skip the test."""
    if not available(name):
        pytest.skip(f"needs longdream[{ONLINE[name].extra}]")
    return made(name, OPTIONS[name])


def episode(env, seed, steps, rng):
    """Play by chance; return what came, step by step: (observation, reward, terminated, truncated)."""
    found = [(env.reset(seed=seed)[0], None, False, False)]
    for _ in range(steps):
        if isinstance(env.action_space, spaces.Discrete):
            action = int(rng.integers(env.action_space.n))
        else:
            action = rng.uniform(-1, 1, env.action_space.shape).astype(np.float32)
        found.append(env.step(action)[:4])
        if found[-1][2] or found[-1][3]:
            break
    return found


@everywhere
def test_spaces_are_those_that_the_loop_knows(name):
    env = opened(name)
    space, actions = env.observation_space, env.action_space
    assert isinstance(space, spaces.Box)
    assert (space.dtype.name, len(space.shape)) in (("uint8", 3), ("float32", 1))
    if isinstance(actions, spaces.Discrete):
        assert actions.start == 0
    else:
        assert actions.dtype == np.float32
        assert (actions.low == -1).all()
        assert (actions.high == 1).all()
    for observation, reward, _, _ in episode(env, 2**63 + 1, 4, np.random.default_rng(0)):
        assert observation.dtype == space.dtype
        assert space.contains(observation)
        assert reward is None or np.isfinite(float(reward))
    env.close()


@everywhere
def test_seed_and_actions_decide(name):
    """In the same environment again, after another episode, and in a fresh one."""
    env, fresh = opened(name), opened(name)
    first = episode(env, 7, 7, np.random.default_rng(0))
    episode(env, 8, 2, np.random.default_rng(1))
    for other in (env, fresh):
        again = episode(other, 7, 7, np.random.default_rng(0))
        assert len(again) == len(first)
        for a, b in zip(first, again, strict=True):
            assert np.array_equal(a[0], b[0])
            assert a[1:] == b[1:]
    env.close()
    fresh.close()


@pytest.mark.parametrize("name", [name for name in CHOSEN if ONLINE[name].sides(OPTIONS[name])])
def test_side_arrays_are_those_of_collect(name):
    opened(name).close()
    entry, options, rng = ONLINE[name], OPTIONS[name], np.random.default_rng(0)
    assert entry.sides(options) == ENVIRONMENTS[name].extras(options)
    env, ended = made(name, options), True
    with Envs(entry, options, 1, 5, processes=False) as envs:
        for _ in range(5):
            action = random_actions(envs, rng)
            steps = envs.step(action)
            assert steps.first[0] == ended
            info = env.reset(seed=episode_seed(5, 0, 0))[1] if ended else env.step(int(action.argmax()))[-1]
            ended = False
            for name_, spec in entry.sides(options).items():
                assert envs.sides[name_].dtype == spec.dtype
                np.testing.assert_array_equal(envs.sides[name_][0], info[name_])
    env.close()


@everywhere
def test_episodes_end_in_time_and_say_how(name):
    env, limit = opened(name), ONLINE[name].max_steps(OPTIONS[name])
    if limit > SHORT and not name.startswith("cartpole"):
        env.close()
        pytest.skip(f"an episode has up to {limit} steps")
    *before, (_, _, terminated, truncated) = episode(env, 1, limit + 1, np.random.default_rng(0))
    assert not any(a or b for _, _, a, b in before)
    if name.startswith(TERMINAL) and "swingup" not in name:
        assert terminated
        assert len(before) <= limit
    elif not name.startswith("distracting_memory"):  # there chance may find a square
        assert truncated
        assert not terminated
        assert len(before) == limit
    env.close()


@everywhere
def test_other_seeds_begin_other_episodes(name):
    if name == "discounting_chain":
        pytest.skip("all its episodes are alike")
    env = opened(name)
    seen = [b"".join(step[0].tobytes() for step in episode(env, s, 2, np.random.default_rng(0))) for s in range(8)]
    assert len(set(seen)) > 1
    env.close()


def test_success_is_read_from_rewards():
    won = {name: entry.success for name, entry in ONLINE.items() if entry.success is not None}
    assert set(won) >= {"memory_len", "discounting_chain", *(n for n in ONLINE if n.startswith("distracting_memory"))}
    assert won["memory_len"](np.array([0, 0, 1.0]))
    assert not won["memory_len"](np.array([0, 0, -1.0]))
    assert won["discounting_chain"](np.float32([0, 0, 1.1]))
    assert not won["discounting_chain"](np.float32([0, 0, 1.0]))


def test_the_list_names_all_and_a_wrong_name_its_neighbours():
    listed = list_online()
    assert all(name in listed for name in ONLINE if not name.startswith("atari_"))
    assert "pong" in listed
    line = next(line for line in listed.splitlines() if line.startswith("popgym_autoencode_easy "))
    assert line.split()[1:3] == ["103", "popgym"]
    without = {line.split()[0] for line in listed.splitlines() if "no reward" in line}
    assert (
        {"two_rooms", "multi_doors_keys"} <= without == {name for name, entry in ONLINE.items() if not entry.rewarded}
    )
    assert "distracting_memory" not in without
    with pytest.raises(ValueError, match="'memory_lem'; perhaps you meant 'memory_len'"):
        find_online("memory_lem")
    assert find_online("atari_pong") is ONLINE["atari_pong"]


def test_options_change_the_limit_and_bad_ones_are_refused():
    entry = ONLINE["memory_len"]
    assert entry.max_steps(dataclasses.replace(entry.options, length=30)) == 31
    with pytest.raises(ValueError, match="length -1"):
        made("memory_len", dataclasses.replace(entry.options, length=-1))
    with pytest.raises(ValueError, match="width 3"):
        made("distracting_memory", DistractingMemoryOptions(width=3))


def test_what_is_not_installed_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "popgym.envs.autoencode", None)
    with pytest.raises(ValueError, match=r"pip install 'longdream\[popgym\]'"):
        ONLINE["popgym_autoencode_easy"].make()


@pytest.mark.parametrize("name", ["popgym_repeat_previous_easy", "popgym_autoencode_easy", "popgym_concentration_easy"])
def test_cards_become_one_hots(name):
    env = opened(name)
    parts = {"popgym_repeat_previous_easy": 1, "popgym_autoencode_easy": 2, "popgym_concentration_easy": 52}[name]
    for observation, *_ in episode(env, 0, 10, np.random.default_rng(0)):
        assert observation.sum() == parts
        assert set(observation.tolist()) <= {0.0, 1.0}
    env.close()
