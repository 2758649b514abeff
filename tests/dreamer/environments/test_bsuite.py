"""The two environments of bsuite: its rules by hand, and against the package where that is installed."""

import numpy as np
import pytest

from longdream.collectors.envs.bsuite_discounting_chain import DiscountingChain
from longdream.collectors.envs.bsuite_memory_len import MemoryLen


def played(env, actions, seed):
    """Return observations, rewards and whether it ended, step by step."""
    found = [(env.reset(seed=seed)[0].tolist(), None, False)]
    for action in actions:
        observation, reward, terminated, truncated, _ = env.step(action)
        assert not truncated
        found.append((observation.tolist(), reward, terminated))
    return found


def test_memory_len_shows_the_bit_twice_and_asks_at_the_end():
    env = MemoryLen(length=2)
    answers = {}
    for seed in range(8):
        env.reset(seed=seed)
        sign = 2 * env.bit - 1
        good = played(env, [1 - env.bit, 1 - env.bit, env.bit], seed)
        assert good == [
            ([1, 0, sign], None, False),
            ([1, 0, sign], 0, False),
            ([0.5, 0, 0], 0, False),
            ([0, 0, 0], 1, True),
        ]
        answers[env.bit] = played(env, [env.bit, env.bit, 1 - env.bit], seed)[-1]
    assert answers == {bit: ([0, 0, 0], -1, True) for bit in (0, 1)}  # both bits came up


@pytest.mark.parametrize(("chain", "delay"), [(0, 1), (1, 3), (2, 10), (3, 30), (4, 100)])
def test_discounting_chain_pays_once_and_in_time(chain, delay):
    env = DiscountingChain(bonus=2)
    others = np.random.default_rng(chain).integers(5, size=99)  # only the first action counts
    steps = played(env, [chain, *others.tolist()], 0)
    assert steps[0][0] == [-1, 0]
    assert [t for t, (_, reward, _) in enumerate(steps) if reward] == [delay]
    assert steps[delay][1] == (1.1 if chain == 2 else 1.0)
    assert [ended for _, _, ended in steps] == [False] * 100 + [True]
    assert np.allclose([observation for observation, _, _ in steps[1:]], [[chain, t / 100] for t in range(1, 101)])


def test_what_cannot_be_is_refused():
    with pytest.raises(ValueError, match="length 0"):
        MemoryLen(length=0)
    with pytest.raises(ValueError, match="bonus 5"):
        DiscountingChain(bonus=5)
    env = MemoryLen()
    env.reset(seed=0)
    with pytest.raises(ValueError, match="no action 2"):
        env.step(2)


def alike(theirs, ours, actions):
    """Compare a running episode of both, to its end."""
    for action in actions:
        expected = theirs.step(action)
        observation, reward, terminated, _, _ = ours.step(action)
        assert np.array_equal(observation, expected.observation[0])
        assert (reward, terminated) == (expected.reward, expected.last())
        if terminated:
            return
    raise AssertionError("the episode did not end")


@pytest.mark.filterwarnings("ignore")  # the package is old
@pytest.mark.parametrize("length", [1, 2, 5, 30, 100])
def test_memory_len_is_the_packages(length):
    package = pytest.importorskip("bsuite.environments.memory_chain", reason="extra bsuite", exc_type=ImportError)
    theirs, ours, rng = package.MemoryChain(length, num_bits=1, seed=0), MemoryLen(length), np.random.default_rng(1)
    for seed in range(6):
        observation, _ = ours.reset(seed=seed)
        while not np.array_equal(theirs.reset().observation[0], observation):
            pass  # until it draws the same bit
        alike(theirs, ours, rng.integers(2, size=length + 1).tolist())


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("bonus", range(5))
def test_discounting_chain_is_the_packages(bonus):
    package = pytest.importorskip("bsuite.environments.discounting_chain", reason="extra bsuite", exc_type=ImportError)
    theirs, ours, rng = package.DiscountingChain(mapping_seed=bonus), DiscountingChain(bonus), np.random.default_rng(1)
    for chain in range(5):
        assert np.array_equal(ours.reset(seed=chain)[0], theirs.reset().observation[0])
        alike(theirs, ours, [chain, *rng.integers(5, size=99).tolist()])
