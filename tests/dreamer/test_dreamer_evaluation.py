"""Evaluation: its own episodes, always the same, each row its share; training's randomness stays as it was."""

from contextlib import nullcontext

import numpy as np
import pytest
import torch

from longdream.datasets.episode import ArraySpec
from longdream.dreamer.environments.vector import Steps
from longdream.dreamer.episodes import Outcome
from longdream.dreamer.evaluation import Examination


class Counting:
    """Environments in which episode e of row n has n + 1 actions, and a reward of e + 10 n at its end."""

    observation, actions, discrete = ArraySpec("float32", (1,)), 2, True

    def __init__(self, count):
        self.count = count
        self.restore({"episode": np.full(count, -1), "time": np.full(count, 99)})

    def state(self):
        return {"episode": self.episode.copy(), "time": self.time.copy()}

    def restore(self, state):
        self.episode, self.time = state["episode"].copy(), state["time"].copy()

    def step(self, actions):
        row = np.arange(self.count)
        first = self.time > row  # the last one has ended
        self.episode = self.episode + first
        self.time = np.where(first, 0, self.time + 1)
        ended = self.time == row + 1
        reward = np.where(ended, self.episode + 10.0 * row, 0)
        zeros = np.zeros(self.count, bool)
        obs = self.time[:, None].astype(np.float32)
        return Steps(
            obs, reward.astype(np.float32), ended, zeros, first, self.episode.copy(), np.zeros((self.count, 2))
        )


class Drawing:
    """A mind that draws from torch and remembers how it was asked to act."""

    device, autocast, reads = torch.device("cpu"), nullcontext, "output"

    def __init__(self):
        self.model = self.behaviour = self
        self.greedy, self.drawn = set(), []

    def observe(self, batch, state):
        self.drawn.append(torch.rand(1).item())
        return type("Beliefs", (), {"state": batch.obs[:, 0], "latent": batch.obs})

    def policy_features(self, latent, state, reads):
        return latent

    def act(self, features, greedy):
        self.greedy.add(greedy)
        return torch.zeros(len(features), 2)


def test_every_row_plays_its_share():
    mind = Drawing()
    found = Examination(Counting(3), 7, None, seed=5)(mind)
    rewards = [[0, 1, 2], [10, 11], [20, 21]]
    assert found.outcomes == [Outcome(r, n + 1, None) for n, row in enumerate(rewards) for r in row]
    assert mind.greedy == {True}
    assert [step.obs.tolist() for step in found.example] == [[[0.0]], [[1.0]]]  # the first row's first episode
    assert [bool(step.first[0]) for step in found.example] == [True, False]


def test_it_is_the_same_again_and_disturbs_nothing():
    mind = Drawing()
    examination = Examination(Counting(2), 4, lambda rewards: rewards.sum() > 0, seed=5)
    first = examination(mind)
    draws, mind.drawn = mind.drawn, []
    torch.rand(17)
    after = torch.get_rng_state()
    assert examination(mind).outcomes == first.outcomes
    assert mind.drawn == draws
    assert torch.equal(torch.get_rng_state(), after)
    assert [outcome.success for outcome in first.outcomes] == [False, True, True, True]


@pytest.mark.parametrize("episodes", [1, 2])
def test_few_episodes(episodes):
    assert len(Examination(Counting(1), episodes, None, seed=0)(Drawing()).outcomes) == episodes
