"""What every environment of the catalogue keeps to. A new one is tested here as soon as it has its line."""

import dataclasses
from functools import lru_cache

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

from longdream.collectors.catalogue import ENVIRONMENTS
from longdream.collectors.rollout import array_specs, collect_episode, episode_seed, make, rollout
from longdream.datasets.episode import CONTEXT, NO_TELEPORT, QUERY
from longdream.tests.collectors.episodes import differences, taken

LENGTHS = {
    "distracting_memory": (199, 51),
    "distracting_memory_200": (399, 101),
    "distracting_memory_400": (799, 201),
    "multi_doors_keys": (76, 174),
    "multi_doors_keys_two": (45, 92),
    "multi_doors_keys_three": (76, 174),
    "multi_doors_keys_five": (170, 380),
    "multi_doors_keys_seven": (296, 654),
    "two_rooms": (301, 200),
    "four_rooms": (501, 500),
    "ten_rooms": (1101, 900),
    "two_rooms_teleport": (301, 150),
    "four_rooms_teleport": (501, 250),
    "ten_rooms_teleport": (1101, 550),
    "memory_maze_9x9": (500, 501),
    "memory_maze_11x11": (500, 501),
    "memory_maze_13x13": (500, 501),
    "memory_maze_15x15": (500, 501),
}
SEEDS = [episode_seed(5, index) for index in range(3)]
LONG = 600  # steps; of longer episodes fewer are stepped

# Where pictures can be small, they are: the renderers have tests of their own.
OPTIONS = {
    name: dataclasses.replace(entry.options, size=8) if hasattr(entry.options, "size") else entry.options
    for name, entry in ENVIRONMENTS.items()
}


def seeds(name):
    """Return the seeds of the episodes to look at."""
    return SEEDS if sum(LENGTHS[name]) < LONG else SEEDS[:2]


everywhere = pytest.mark.parametrize("name", list(ENVIRONMENTS))


@lru_cache
def stepped(name, seed):
    """Return an episode of an environment, by stepping it."""
    return rollout(ENVIRONMENTS[name], OPTIONS[name], seed)


@everywhere
def test_gymnasium_accepts_it(name):
    """With every warning an error, rendering included."""
    env = make(ENVIRONMENTS[name], OPTIONS[name])
    check_env(env.unwrapped)
    env.close()


@everywhere
def test_lengths_are_the_published_ones(name):
    environment = ENVIRONMENTS[name]
    spec = environment.spec(OPTIONS[name])
    assert (spec.context, spec.query) == LENGTHS[name]
    assert len(stepped(name, SEEDS[0])) == sum(LENGTHS[name])


@everywhere
def test_the_fast_path_gives_the_same_bytes(name):
    environment = ENVIRONMENTS[name]
    if environment.fast is None:
        return  # its episodes are the stepped ones
    for seed in seeds(name):
        assert differences(stepped(name, seed), environment.fast(OPTIONS[name], seed)) == []


@everywhere
def test_seeds_decide(name):
    environment = ENVIRONMENTS[name]
    assert differences(stepped(name, SEEDS[0]), rollout(environment, OPTIONS[name], SEEDS[0])) == []
    assert "obs" in differences(stepped(name, SEEDS[0]), stepped(name, SEEDS[1]))


@everywhere
def test_the_clock(name):
    episode = stepped(name, SEEDS[0])
    assert not episode.action[0].any()
    assert (episode.action[1:].sum(-1) == 1).all()
    assert episode.is_first.tolist() == [True] + [False] * (len(episode) - 1)
    assert not episode.terminal[:-1].any()
    assert (episode.phase[: episode.context] == CONTEXT).all()
    assert (episode.phase[episode.context :] == QUERY).all()


@everywhere
def test_replaying_the_actions_gives_the_same_images(name):
    """action[t] led to image[t]: the stored arrays alone, with the seed, say it again."""
    environment, episode = ENVIRONMENTS[name], stepped(name, SEEDS[1])
    env = make(environment, OPTIONS[name])
    observation, _ = env.reset(seed=episode.seed)
    assert np.array_equal(observation, episode.obs[0])
    for t, action in enumerate(taken(episode), 1):
        observation, reward, terminated, _, _ = env.step(int(action))
        assert np.array_equal(observation, episode.obs[t])
        assert (reward, terminated) == (episode.reward[t], episode.terminal[t])
    env.close()


@everywhere
def test_arrays_are_as_specified(name):
    environment, episode = ENVIRONMENTS[name], stepped(name, SEEDS[0])
    specs = array_specs(environment, OPTIONS[name])
    arrays = episode.named("image")
    assert episode.extras.keys() == environment.extras(OPTIONS[name]).keys()
    for key, spec in specs.items():
        shape = (len(episode), *spec.shape) if spec.per_step else spec.shape
        array = np.asarray(arrays[key], None if key in episode.extras or spec.per_step else spec.dtype)
        assert (array.dtype.name, array.shape) == (spec.dtype, shape), key


@everywhere
def test_padding_is_noops_at_the_end_of_phases(name):
    noop = ENVIRONMENTS[name].noop
    for seed in seeds(name):
        episode = stepped(name, seed)
        if noop is None:
            assert not episode.pad.any()
            continue
        assert (taken(episode)[episode.pad[1:]] == noop).all()
        for part in (episode.pad[: episode.context], episode.pad[episode.context :]):
            assert (np.diff(part.astype(int)) >= 0).all()  # once it begins, it lasts


@everywhere
def test_agent_extras_agree_with_each_other(name):
    """Positions move the way the agent faces, inside the map: exactly so in a grid, and never backwards elsewhere."""
    episode = collect_episode(ENVIRONMENTS[name], OPTIONS[name], SEEDS[2])
    place, facing = episode.extras["agent_pos"], episode.extras["agent_dir"]
    assert (place > 0).all()
    assert np.allclose(np.linalg.norm(facing, axis=-1), 1)
    steps = np.diff(place, axis=0)
    moved = steps.any(-1)
    assert moved.any()
    if (place % 1 == 0.5).all():
        assert np.array_equal(steps[moved], facing[1:][moved])
    elif episode.teleport_from == NO_TELEPORT:
        assert (np.einsum("td,td->t", steps, facing[1:]) > -0.01).all()


@everywhere
def test_rgb_rendering_shows_the_map(name):
    env = gymnasium.make(ENVIRONMENTS[name].gym_id, render_mode="rgb_array")
    env.reset(seed=0)
    picture = env.render()
    assert picture.ndim == 3
    assert picture.std() > 0
    env.close()
