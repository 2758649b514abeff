"""Returns, lengths and successes of episodes that are played side by side."""

import numpy as np
import pytest

from longdream.dreamer.environments.vector import Steps
from longdream.dreamer.episodes import EpisodeTally, Outcome, summary


def steps(first, reward, terminal, truncated=None):
    count = len(first)
    return Steps(
        obs=np.zeros((count, 2), np.float32),
        reward=np.array(reward, np.float32),
        terminal=np.array(terminal, bool),
        truncated=np.zeros(count, bool) if truncated is None else np.array(truncated, bool),
        first=np.array(first, bool),
        episode=np.zeros(count, np.int64),
        action=np.zeros((count, 2), np.float32),
    )


def won(rewards):
    return rewards.sum() > 0


def test_each_row_has_an_episode_of_its_own():
    tally = EpisodeTally(2, won)
    assert tally.add(steps([1, 1], [0, 0], [0, 0])) == [None, None]
    assert tally.add(steps([0, 0], [1, -2], [0, 1])) == [None, Outcome(-2.0, 1, False)]
    assert tally.add(steps([0, 1], [2, 0], [0, 0], [1, 0])) == [Outcome(3.0, 2, True), None]  # cut off: it ends, too
    assert tally.add(steps([1, 0], [0, 5], [0, 1])) == [None, Outcome(5.0, 1, True)]


def test_a_dropped_episode_counts_nowhere():
    tally = EpisodeTally(1, won)
    tally.add(steps([1], [0], [0]))
    tally.add(steps([0], [100], [0]))
    tally.add(steps([1], [0], [0]))  # the worker had crashed
    assert tally.add(steps([0], [-1], [1])) == [Outcome(-1.0, 1, False)]


def test_a_restored_tally_goes_on():
    one, other = EpisodeTally(2, None), EpisodeTally(2, None)
    one.add(steps([1, 1], [0, 0], [0, 0]))
    one.add(steps([0, 0], [3, 4], [0, 0]))
    other.restore(one.state())
    last = steps([0, 0], [0.5, 0.25], [1, 1])
    assert one.add(last) == other.add(last) == [Outcome(3.5, 2, None), Outcome(4.25, 2, None)]


def test_summary_is_of_means():
    assert summary([]) == {}
    assert summary([Outcome(1.0, 4, None), Outcome(4.0, 6, None)]) == {"return": 2.5, "length": 5.0}
    found = summary([Outcome(1.0, 4, True), Outcome(0.0, 4, False), Outcome(0.0, 4, False)])
    assert found["success"] == pytest.approx(1 / 3)
