"""What actor and critic learn in worlds whose best behaviour is known."""

import torch

from longdream.dreamer.behaviour import Behaviour, BehaviourConfig
from longdream.tests.dreamer.toy_worlds import Corridor, Line


def learn(world, starts, behaviour, updates, lr=1e-2):
    optimizer = torch.optim.Adam([*behaviour.actor.parameters(), *behaviour.critic.parameters()], lr)
    torch.manual_seed(0)
    for _ in range(updates):
        loss = behaviour(world, starts, "output")
        optimizer.zero_grad()
        (loss.actor + loss.critic).backward()
        optimizer.step()
        behaviour.update_slow_critic()
    return behaviour


def test_discrete_actions_of_a_known_world_are_learned():
    world = Corridor()
    torch.manual_seed(0)
    config = BehaviourConfig(units=32, layers=1, horizon=5, discount=0.8, slow_rate=0.1)
    starts = world.starts([0, 1, 2, 3, 4] * 8)
    behaviour = learn(world, starts, Behaviour(config, Corridor.width, 3, True), 80)
    features = torch.eye(6)[1:4]
    assert behaviour.act(features, greedy=True).argmax(-1).tolist() == [Corridor.right] * 3
    # 1 on arriving at the end, and nothing of what would lie beyond it
    assert torch.allclose(behaviour.critic(features), torch.tensor([0.64, 0.8, 1.0]), atol=0.1)


def test_continuous_actions_of_a_known_world_are_learned():
    world = Line()
    torch.manual_seed(0)
    config = BehaviourConfig(units=32, layers=1, horizon=4, discount=0.8)
    places = [-1.0, -0.5, 0.0, 0.25, 0.4, 0.55, 0.8, 1.0]
    starts = world.starts(places * 8)
    behaviour = learn(world, starts, Behaviour(config, Line.width, 1, False), 80)
    best = [min(1, max(-1, (Line.goal - x) / Line.push)) for x in places]
    assert torch.allclose(behaviour.act(starts.state[:8], greedy=True)[:, 0], torch.tensor(best), atol=0.25)
