"""Actor and critic: their losses against slow ones, and who gets gradients."""

import math
from copy import deepcopy

import numpy as np
import pytest
import torch

from longdream.dreamer.behaviour import Behaviour, BehaviourConfig
from longdream.dreamer.imagination import choose_starts
from longdream.tests.dreamer.toy_worlds import Corridor, Line, random_sequence, small_model

CONFIG = BehaviourConfig(units=16, layers=1, horizon=5, discount=0.8, entropy=0.01, scale_decay=0.5)
KINDS = pytest.mark.parametrize("discrete", [True, False], ids=["discrete", "continuous"])
REALS = pytest.mark.parametrize("name", ["r2i", "rssm"])


def behaviour_for(model, discrete, reads="output", actions=3, config=CONFIG):
    torch.manual_seed(0)
    behaviour = Behaviour(config, model.policy_width(reads), actions, discrete)
    for head in (behaviour.critic, behaviour.slow_critic):  # new ones say 0, whatever they are asked
        torch.nn.init.normal_(head.net[-1].weight, std=0.5)
    return behaviour


def real(name, discrete, reads="output"):
    model = small_model(name)
    starts = choose_starts(*random_sequence(model, 3, 6))
    return model, starts, behaviour_for(model, discrete, reads)


def expected_value(head, features):
    """The mean of a critic's bins, at one step."""
    mean = (torch.softmax(head.net(features), -1) * torch.linspace(-20, 20, 255).double()).sum()
    return mean.sign() * (mean.abs().exp() - 1)


def surprise(head, features, value):
    """The cross-entropy of a critic's bins to a two-hot value, at one step."""
    place = (value.sign() * (1 + value.abs()).log() + 20) / 40 * 254
    target = (1 - (torch.arange(255) - place).abs()).clamp(min=0)
    return -(target * head.net(features).log_softmax(-1)).sum()


def chances(behaviour, features):
    """The probabilities of discrete actions, at one step."""
    return torch.softmax(behaviour.actor.net(features.detach()), -1) * 0.99 + 0.01 / 3


def gaussian(behaviour, features):
    """The mean and the standard deviation of a continuous action, at one step."""
    mean, std = behaviour.actor.net(features.detach())
    return mean.tanh(), 0.1 + 0.9 / (1 + (-std - 2).exp())


def trajectory(world, behaviour, start, draws):
    """One start (1 X) and what was drawn for every step: features (H+1), actions (H), rewards and continues (H)."""
    state, features, actions, told = start, [start[0]], [], []
    for drawn in draws:
        if behaviour.actor.discrete:
            actions.append(drawn)
        else:
            mean, std = gaussian(behaviour, features[-1])
            actions.append((mean + std * drawn).clamp(-1, 1))
        latent, state = world.imagine_step(state, actions[-1][None], None)
        heads = world.predict(latent)
        features.append(state[0])
        told.append((heads.reward[0, 0], heads.cont[0, 0]))
    return features, actions, told


def slow_losses(world, behaviour, starts, draws):
    """Both losses, a trajectory and a step at a time; `draws` (N H ...) are the actions, or the noise in them."""
    config, rows, (n, h) = behaviour.config, [], draws.shape[:2]
    for i in range(n):
        features, actions, told = trajectory(world, behaviour, starts.state[i : i + 1], draws[i])
        values = [expected_value(behaviour.critic, f) for f in features]
        returns = [values[-1]]
        for (reward, cont), value in zip(reversed(told), reversed(values[1:]), strict=True):
            returns.insert(0, reward + config.discount * cont * (0.05 * value + 0.95 * returns[0]))
        rows.append((features, actions, told, values, returns[:h]))
    everything = np.array([[r.item() for r in row[-1]] for row in rows])
    spread = 0.5 * (np.quantile(everything, 0.95) - np.quantile(everything, 0.05))  # from an average that began at 0
    actor = critic = torch.zeros((), dtype=torch.float64)
    for i, (features, actions, told, values, returns) in enumerate(rows):
        weight = starts.cont[i].item()
        for t in range(h):
            advantage = (returns[t] - values[t]) / max(1.0, spread)
            if behaviour.actor.discrete:
                p = chances(behaviour, features[t])
                entropy = -(p * p.log()).sum()
                gain = (actions[t] * p.log()).sum() * advantage.item()
            else:
                entropy = (gaussian(behaviour, features[t])[1] * math.sqrt(2 * math.pi * math.e)).log()
                gain = advantage
            actor = actor - weight * (gain + config.entropy * entropy)
            here = features[t].detach()
            slow = expected_value(behaviour.slow_critic, here).detach()
            critic = critic + weight * surprise(behaviour.critic, here, returns[t].detach())
            critic = critic + weight * surprise(behaviour.critic, here, slow)
            weight *= config.discount * told[t][1].item()
    return actor / (n * h), critic / (n * h)


def gradients(loss, module):
    found = torch.autograd.grad(loss, list(module.parameters()), retain_graph=True, allow_unused=True)
    return [None if g is None else g.clone() for g in found]


def corridor():
    """The corridor, less sure of everything."""
    world = Corridor().double()
    with torch.no_grad():
        world.goes_on += torch.tensor([0.2, -0.1, -0.3, 0, 0.1, 0])
        world.rewards *= 10
    return world, world.starts([0, 1, 2, 3, 4, 3, 2, 1])


def line():
    """The line, whose goal is far and whose episodes may end anywhere."""
    world = Line().double()
    world.goal = 3.0
    starts = world.starts([-0.5, 0.1, 0.2, 1.0])
    return world, starts._replace(cont=torch.tensor([1.0, 0.7, 0, 1]).double())


@KINDS
def test_losses_and_gradients_are_those_of_a_loop_over_every_step(discrete):
    world, starts = corridor() if discrete else line()
    behaviour = behaviour_for(world, discrete, actions=3 if discrete else 1).double()
    with torch.no_grad():
        behaviour.slow_critic.net[-1].weight.mul_(0.7)
    policies = []
    behaviour.actor.register_forward_hook(lambda *call: policies.append(call[-1]))
    torch.manual_seed(3)
    fast = behaviour(world, starts, "output")
    torch.manual_seed(3)
    if discrete:
        draws = [policy.draw() for policy in policies[: CONFIG.horizon]]
    else:
        draws = [torch.randn(len(starts.cont), 1).double() for _ in range(CONFIG.horizon)]
    slow = slow_losses(world, behaviour, starts, torch.stack(draws, 1))
    for got, expected, module in zip(fast, slow, (behaviour.actor, behaviour.critic), strict=False):
        assert got.item() == pytest.approx(expected.item(), rel=1e-6)
        for g, e in zip(gradients(got, module), gradients(expected, module), strict=True):
            assert torch.allclose(g, e, rtol=1e-5, atol=1e-7)


@KINDS
@REALS
def test_nothing_reaches_the_world_model(name, discrete):
    model, starts, behaviour = real(name, discrete)
    model.decoder.requires_grad_(False)
    wanted = [p.requires_grad for p in model.parameters()]
    before = deepcopy(model.state_dict())
    loss = behaviour(model, starts, "output")
    (loss.actor + loss.critic).backward()
    assert all(p.grad is None for p in model.parameters())
    assert [p.requires_grad for p in model.parameters()] == wanted
    assert all(torch.equal(before[key], value) for key, value in model.state_dict().items())


@KINDS
def test_the_actors_loss_trains_the_actor_alone_and_the_critics_the_critic(discrete):
    model, starts, behaviour = real("r2i", discrete, "hidden")
    loss = behaviour(model, starts, "hidden")
    assert all(g is not None and g.any() for g in gradients(loss.actor, behaviour.actor))
    assert all(g is not None and g.any() for g in gradients(loss.critic, behaviour.critic))
    assert all(g is None for g in gradients(loss.actor, behaviour.critic))
    assert all(g is None for g in gradients(loss.critic, behaviour.actor))
    assert all(p.requires_grad for p in behaviour.critic.parameters())
    assert not any(p.requires_grad for p in behaviour.slow_critic.parameters())


def test_an_error_in_imagination_leaves_the_world_model_trainable():
    model, starts, behaviour = real("rssm", discrete=False)
    with pytest.raises(RuntimeError):
        behaviour(model, starts._replace(state=starts.state._replace(deter=torch.zeros(1))), "output")
    assert all(p.requires_grad for p in model.parameters())
    assert all(p.requires_grad for p in behaviour.critic.parameters())


@KINDS
def test_nothing_is_learned_from_where_an_episode_has_ended(discrete):
    model, starts, behaviour = real("r2i", discrete)
    loss = behaviour(model, starts._replace(cont=torch.zeros_like(starts.cont)), "output")
    assert loss.actor == 0
    assert loss.critic == 0


def test_the_critic_does_not_change_through_the_continuous_actors_returns():
    """A backward pass of both losses gives the critic what its own loss alone would."""
    model, starts, behaviour = real("r2i", discrete=False)
    loss = behaviour(model, starts, "output")
    alone = gradients(loss.critic, behaviour.critic)
    (loss.actor + loss.critic).backward()
    for got, expected in zip(behaviour.critic.parameters(), alone, strict=True):
        assert torch.allclose(got.grad, expected, atol=1e-7)


def test_the_slow_critic_follows():
    behaviour = behaviour_for(Corridor(), discrete=True)
    before = [p.clone() for p in behaviour.slow_critic.parameters()]
    with torch.no_grad():
        for p in behaviour.critic.parameters():
            p.add_(1)
    behaviour.update_slow_critic()
    for slow, fast, old in zip(behaviour.slow_critic.parameters(), behaviour.critic.parameters(), before, strict=True):
        assert torch.allclose(slow, 0.98 * old + 0.02 * fast, atol=1e-6)


@KINDS
def test_both_learn_under_autocast(discrete):
    """Weights that autocast has cached where there were no gradients must not be used where there are."""
    model, starts, behaviour = real("r2i", discrete)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss = behaviour(model, starts, "output")
    assert {loss.actor.dtype, loss.critic.dtype} == {torch.float32}
    for part, module in ((loss.actor, behaviour.actor), (loss.critic, behaviour.critic)):
        assert all(g is not None and g.any() for g in gradients(part, module))


@KINDS
def test_a_state_dict_holds_all_of_it(discrete):
    model, starts, behaviour = real("r2i", discrete)
    behaviour(model, starts, "output")
    behaviour.update_slow_critic()
    again = Behaviour(CONFIG, model.policy_width("output"), 3, discrete)
    again.load_state_dict(behaviour.state_dict())
    losses = []
    for one in (behaviour, again):
        torch.manual_seed(5)
        losses.append(one(model, starts, "output"))
    assert torch.equal(losses[0].actor, losses[1].actor)
    assert torch.equal(losses[0].critic, losses[1].critic)


@KINDS
def test_greedy_actions_are_always_the_same_and_others_are_not(discrete):
    behaviour = behaviour_for(Corridor(), discrete)
    features = torch.randn(50, Corridor.width)
    assert torch.equal(behaviour.act(features, greedy=True), behaviour.act(features, greedy=True))
    assert not torch.equal(behaviour.act(features), behaviour.act(features))
    assert not behaviour.act(features).requires_grad


@pytest.mark.parametrize(
    ("name", "value"), [("units", 0), ("horizon", 0), ("discount", 1.1), ("imagine_every", 0), ("entropy", -1.0)]
)
def test_impossible_settings_are_refused(name, value):
    with pytest.raises(ValueError, match=f"{name}.*{value}"):
        BehaviourConfig(**{name: value})


@pytest.mark.filterwarnings("ignore:The .grad attribute:UserWarning")  # Dynamo looks at it
@KINDS
def test_the_whole_loss_can_be_compiled(discrete):
    """Imagination included; in one graph, but for the freezing that continuous actions ask for."""
    world, starts = corridor() if discrete else line()
    config = BehaviourConfig(units=8, layers=1, horizon=1)
    behaviour = behaviour_for(world, discrete, actions=3 if discrete else 1, config=config).double()
    again, losses = deepcopy(behaviour), []
    for call in (behaviour, torch.compile(again, backend="eager", fullgraph=discrete)):
        torch.manual_seed(1)
        losses.append(call(world, starts, "output"))
    assert torch.allclose(losses[0].actor, losses[1].actor)
    assert torch.allclose(losses[0].critic, losses[1].critic)
    (losses[1].actor + losses[1].critic).backward()
    assert all(p.grad is None for p in world.parameters())
