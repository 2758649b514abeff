"""Rolling out any environment under any policy, on a toy one that a user might add; and the seeds of episodes."""

from dataclasses import dataclass

import gymnasium
import numpy as np
import pytest

from longdream.collectors.environment import Environment
from longdream.collectors.rollout import array_specs, collect_episode, episode_seed, rollout
from longdream.datasets.episode import ArraySpec, EpisodeSpec

CONTEXT_ACTIONS, QUERY_ACTIONS = 4, 6  # C = 5, Q = 6


@dataclass(frozen=True)
class CounterOptions:
    """Options of the toy."""

    limit: int = 99


class Counter(gymnasium.Env):
    """Counts actions 1; the picture is the count."""

    observation_space = gymnasium.spaces.Box(0, 255, (2, 3, 1), np.uint8)
    action_space = gymnasium.spaces.Discrete(2)

    def __init__(self, limit=99):
        self.limit = limit

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.begin = self.count = int(self.np_random.integers(50))
        self.steps = 0
        return self.observe()

    def step(self, action):
        self.count += int(action)
        self.steps += 1
        image, info = self.observe()
        return image, float(action), self.steps >= self.limit, False, info

    def observe(self):
        info = {"count": np.array([self.count], np.int32), "begin": np.array(self.begin, np.int32)}
        return np.full((2, 3, 1), self.count, np.uint8), info


gymnasium.register("tests/Counter-v0", entry_point=Counter)


class ClosedLoop:
    """Counts to the next multiple of three, then waits; it looks at the environment between two actions."""

    def __init__(self, context=CONTEXT_ACTIONS, query=QUERY_ACTIONS):
        self.lengths = context, query

    def context(self, env, rng):
        for _ in range(self.lengths[0]):
            yield int(env.unwrapped.count % 3 > 0)

    def query(self, env, rng):
        for _ in range(self.lengths[1]):
            yield int(rng.integers(2))


def toy(policy=None, noop=None, extras=("count", "begin"), fast=None):
    """Return the toy's entry of a catalogue."""
    specs = {"count": ArraySpec("int32", (1,)), "begin": ArraySpec("int32", (), per_step=False)}
    specs["missing"] = ArraySpec("int32", ())
    return Environment(
        description="a counter",
        gym_id="tests/Counter-v0",
        options=CounterOptions(),
        spec=lambda options: EpisodeSpec(CONTEXT_ACTIONS + 1, QUERY_ACTIONS),
        extras=lambda options: {name: specs[name] for name in extras},
        policy=policy or ClosedLoop(),
        noop=noop,
        fast=fast,
    )


def test_a_closed_loop_policy_sees_each_step():
    for seed in range(6):
        episode = rollout(toy(), CounterOptions(), seed)
        count = episode.extras["count"][:, 0]
        assert count[episode.context - 1] % 3 == 0
        assert count[episode.context - 1] - count[0] < 3
        assert np.array_equal(episode.obs[:, 0, 0, 0], count)
        assert np.array_equal(episode.reward, episode.action[:, 1])
        assert np.array_equal(np.diff(count), episode.action[1:, 1])
        assert episode.extras["begin"] == count[0]


def test_chance_of_world_and_policy_are_apart():
    """The policy's own generator: its draws are not those of a generator seeded like the world's."""
    episode = rollout(toy(), CounterOptions(), 0)
    mirrored = np.random.default_rng(0).integers(2, size=QUERY_ACTIONS)
    assert not np.array_equal(episode.action[-QUERY_ACTIONS:, 1], mirrored)


def test_phases_that_end_early_are_filled_and_marked():
    episode = rollout(toy(ClosedLoop(1, 4), noop=0), CounterOptions(), 3)
    assert episode.pad.tolist() == [False] + [False, True, True, True] + [False] * 4 + [True] * 2
    assert (episode.action[episode.pad] == [1, 0]).all()


@pytest.mark.parametrize(
    ("policy", "said"),
    [
        (ClosedLoop(query=7), "query goes on after the 6 actions"),
        (ClosedLoop(context=5), "context goes on after the 4 actions"),
        (ClosedLoop(context=3), "context ends after 3 of 4 actions, and there is no no-op"),
    ],
)
def test_a_policy_that_does_not_fit_is_refused(policy, said):
    with pytest.raises(ValueError, match=said):
        rollout(toy(policy), CounterOptions(), 0)


def test_an_environment_that_ends_early_is_refused():
    with pytest.raises(ValueError, match="ends after step 9 of 10"):
        rollout(toy(), CounterOptions(limit=9), 0)
    assert rollout(toy(), CounterOptions(limit=10), 0).terminal.tolist() == [False] * 10 + [True]


def test_a_missing_side_array_is_named():
    with pytest.raises(ValueError, match="lacks 'missing'"):
        rollout(toy(extras=("count", "missing")), CounterOptions(), 0)


def test_array_specs_come_from_the_spaces():
    specs = array_specs(toy(), CounterOptions())
    assert specs["image"] == ArraySpec("uint8", (2, 3, 1))
    assert specs["action"] == ArraySpec("uint8", (2,))
    assert specs["count"] == ArraySpec("int32", (1,))


def test_the_fast_path_is_taken_where_there_is_one():
    called = []
    collect_episode(toy(fast=lambda options, seed: called.append((options, seed))), CounterOptions(), 4)
    assert called == [(CounterOptions(), 4)]
    assert len(collect_episode(toy(), CounterOptions(), 4)) == 11


def test_episode_seeds():
    """They never change: stored data sets are extended by them."""
    assert episode_seed(0, 0) == int(np.random.SeedSequence(0, spawn_key=(0,)).generate_state(1, np.uint64)[0])
    seeds = {episode_seed(dataset, index) for dataset in range(10) for index in range(100)}
    assert len(seeds) == 1000
    assert all(0 <= seed < 2**64 for seed in seeds)
    assert max(seeds) > 2**63, "all of uint64 is used"
