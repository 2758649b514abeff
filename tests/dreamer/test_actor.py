"""Policies against torch's distributions."""

import pytest
import torch

from longdream.dreamer.actor import Actor, BoundedGaussian


def actor(discrete, features=5, actions=4):
    torch.manual_seed(0)
    return Actor(features, 16, 1, actions, discrete)


def test_every_discrete_action_keeps_its_share_of_the_uniform_distribution():
    net = actor(True)
    with torch.no_grad():
        net.net[-1].bias.copy_(torch.tensor([1000.0, 0, 0, 0]))
    p = net(torch.zeros(1, 5)).log_probs.exp()
    assert torch.allclose(p, torch.tensor([[0.9925, 0.0025, 0.0025, 0.0025]]))


def test_discrete_draws_follow_the_policy():
    policy = actor(True)(torch.randn(1, 5).expand(20_000, 5))
    drawn = policy.draw()
    assert torch.equal(drawn.sum(-1), torch.ones(20_000))
    assert set(drawn.unique().tolist()) == {0.0, 1.0}
    assert torch.allclose(drawn.mean(0), policy.log_probs[0].exp(), atol=0.02)
    assert not drawn.requires_grad


def test_discrete_policies_are_torchs():
    policy = actor(True)(torch.randn(3, 7, 5))
    action = policy.draw()
    reference = torch.distributions.OneHotCategorical(probs=policy.log_probs.exp())
    assert torch.allclose(policy.log_prob(action), reference.log_prob(action), atol=1e-6)
    assert torch.allclose(policy.entropy(), reference.entropy(), atol=1e-6)
    assert torch.equal(policy.mode().argmax(-1), reference.probs.argmax(-1))


def test_continuous_draws_stay_within_the_bounds():
    policy = actor(False)(10 * torch.randn(1000, 5))
    drawn = policy.draw()
    assert drawn.shape == (1000, 4)
    assert drawn.min() == -1
    assert drawn.max() == 1
    assert policy.mode().abs().max() < 1
    assert policy.std.min() >= 0.1
    assert policy.std.max() <= 1


def test_a_new_continuous_actor_explores():
    policy = actor(False)(torch.randn(100, 5))
    assert policy.std.mean() > 0.8


def test_the_entropy_of_a_continuous_policy_is_torchs():
    policy = actor(False)(torch.randn(3, 7, 5))
    reference = torch.distributions.Independent(torch.distributions.Normal(policy.mean, policy.std), 1)
    assert torch.allclose(policy.entropy(), reference.entropy(), atol=1e-6)


def test_gradients_run_through_continuous_draws_within_the_bounds_only():
    mean, std = torch.full((1000,), 0.7).requires_grad_(), torch.full((1000,), 0.5).requires_grad_()
    torch.manual_seed(0)
    drawn = BoundedGaussian(mean, std).draw()
    inside = drawn.detach().abs() < 1
    assert 0 < inside.sum() < 1000
    by_mean, by_std = torch.autograd.grad(drawn.sum(), (mean, std))
    assert torch.equal(by_mean, inside.float())
    assert torch.allclose(by_std[inside], (drawn.detach()[inside] - 0.7) / 0.5, atol=1e-5)
    assert not by_std[~inside].any()


@pytest.mark.parametrize("discrete", [True, False])
def test_half_precision_networks_give_float32_policies(discrete):
    net = actor(discrete).to(torch.bfloat16)
    policy = net(torch.randn(3, 5, dtype=torch.bfloat16))
    assert {part.dtype for part in policy} == {torch.float32}
