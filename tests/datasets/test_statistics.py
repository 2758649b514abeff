"""The statistics of `inspect` equal those of all arrays put together."""

import dataclasses

import numpy as np
import pytest

from longdream.datasets.episode import ArraySpec
from longdream.datasets.reader import EpisodeDataset
from longdream.datasets.statistics import Spread, count
from longdream.datasets.store import write_info, write_shard
from longdream.tests.datasets.dataset_toys import ARRAYS, toy_episode, toy_info, write_toy


def test_discrete_actions_rewards_and_phases(tmp_path):
    write_toy(tmp_path / "toy", 10)
    steps = []
    counts = count(EpisodeDataset(tmp_path / "toy"), lambda done, total: steps.append((done, total)))
    assert steps == [(done, 10) for done in range(1, 11)]
    episodes = [toy_episode(e) for e in range(10)]
    actions = np.concatenate([episode.action[1:] for episode in episodes])
    rewards = np.concatenate([episode.reward for episode in episodes]).astype(float)
    returns = np.array([episode.reward.astype(float).sum() for episode in episodes])
    np.testing.assert_allclose(counts.action.mean, actions.mean(0))
    for spread, values in [(counts.reward, rewards), (counts.returns, returns)]:
        wanted = [values.mean(), values.std(), values.min(), values.max()]
        np.testing.assert_allclose([spread.mean, spread.deviation, spread.low, spread.high], wanted)
    assert counts.nonzero == np.count_nonzero(rewards)
    assert counts.terminal == 10
    assert counts.pad == 20
    assert counts.query == sum((episode.phase == 1).sum() for episode in episodes)
    rows = dict(counts.rows())
    assert rows["actions"].startswith(f"0: {actions.mean(0)[0]:.1%}  1: ")
    assert rows["actions"].endswith(f"of {len(actions)}")


def test_continuous_actions_and_rare_rewards(tmp_path):
    info = toy_info(2, arrays=ARRAYS | {"action": ArraySpec("float32", (2,))})
    rng, episodes = np.random.default_rng(0), []
    for e in range(2):
        reward = np.zeros(30, np.float32)
        reward[5 + e] = 2
        action = rng.normal(3, 2, (30, 2)).astype(np.float32)
        action[0] = 0
        episodes.append(dataclasses.replace(toy_episode(e, 30), action=action, reward=reward))
    (tmp_path / "tmp").mkdir()
    write_info(tmp_path, info, replace=False)
    write_shard(tmp_path, info, info.shard_ranges()[0], episodes)
    rows = dict(count(EpisodeDataset(tmp_path)).rows())
    actions = np.concatenate([episode.action[1:] for episode in episodes]).astype(float)
    for number in (0, 1):
        column = actions[:, number]
        assert rows[f"action {number}"] == (
            f"mean {column.mean():.3f}, std {column.std():.3f}, {column.min():g} to {column.max():g}"
        )
    assert "0 to 2, not 0 in 3.33% of the steps" in rows["reward"]


@pytest.mark.parametrize("pieces", [[50], [1, 0, 20, 29]])
def test_a_spread_does_not_depend_on_the_pieces(pieces):
    values = np.random.default_rng(1).normal(100, 1, (50, 3)).astype(np.float32)
    spread = Spread()
    for piece in np.split(values, np.cumsum(pieces)[:-1]):
        spread.add(piece)
    assert spread.count == 50
    np.testing.assert_allclose(spread.deviation, values.astype(float).std(0), rtol=1e-6)
    np.testing.assert_array_equal(spread.low, values.min(0))
