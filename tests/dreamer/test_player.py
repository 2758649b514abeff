"""Who acts: the agent, or chance in its place while the agent watches."""

import numpy as np
import torch

from longdream.dreamer.player import Player, random_actions
from longdream.tests.dreamer.test_dreamer_evaluation import Counting, Drawing


class Watched(Counting):
    """Keeps the actions that it is stepped with."""

    def __init__(self, count):
        super().__init__(count)
        self.taken = []

    def step(self, actions):
        self.taken.append(actions.copy())
        return super().step(actions)


def test_the_agent_draws_in_training_and_takes_its_likeliest_actions_in_evaluation():
    mind = Drawing()
    player = Player(Watched(3), mind, None)
    player.play()
    assert mind.greedy == {False}
    player.play(greedy=True)
    assert mind.greedy == {False, True}


def test_chance_acts_while_the_agent_watches():
    mind, envs = Drawing(), Watched(50)
    player = Player(envs, mind, None)
    for by_chance in (True, True, False, False):
        player.play(by_chance=by_chance)
    assert len(mind.drawn) == 4, "it has seen every step"
    by_chance, by_agent = envs.taken[1:3], envs.taken[3:]
    assert all(np.array_equal(actions.sum(1), np.ones(50)) for actions in by_chance)
    assert not np.array_equal(*by_chance)
    assert not any(actions.any() for actions in by_agent), "what the agent of this test chooses"


def test_chance_takes_all_actions_alike():
    torch.manual_seed(0)
    counts = random_actions(3000, 3, discrete=True).sum(0)
    assert np.abs(counts - 1000).max() < 120  # 4.6 standard deviations
    moved = random_actions(3000, 2, discrete=False)
    assert moved.min() < -0.99
    assert moved.max() > 0.99
    assert np.abs(moved.mean(0)).max() < 0.06  # 5.7 of them
