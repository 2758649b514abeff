"""Categorical latents and the reward head against plain computations."""

import math

import pytest
import torch

from longdream.worldmodels.heads import (
    BINS,
    NO_REWARD,
    ContinueHead,
    TwoHotHead,
    symlog_bins,
    symmetric_mean,
    two_hot,
)
from longdream.worldmodels.latents import LatentConfig, kl_divergence, log_probabilities, sample
from longdream.worldmodels.symlog import symexp, symlog

CONFIG = LatentConfig(variables=3, classes=4, uniform_mix=0.01)


def test_log_probabilities_are_mixed_with_the_uniform_distribution():
    logits = torch.tensor([[100.0, 0, 0, 0] * 3])
    p = log_probabilities(logits, CONFIG).exp()
    assert p.shape == (1, 3, 4)
    assert torch.allclose(p.sum(-1), torch.ones(1, 3))
    assert torch.allclose(p[0, 0], torch.tensor([0.9925, 0.0025, 0.0025, 0.0025]))


@pytest.mark.parametrize("mix", [0.0, 1.0, -0.1])
def test_a_mix_that_allows_infinite_divergences_is_refused(mix):
    with pytest.raises(ValueError, match="uniform_mix"):
        LatentConfig(uniform_mix=mix)


def test_half_precision_logits_give_float32_probabilities():
    assert log_probabilities(torch.zeros(1, 12, dtype=torch.bfloat16), CONFIG).dtype == torch.float32


def test_samples_follow_the_probabilities():
    p = torch.tensor([0.1037, 0.2171, 0.2951, 0.3841])
    torch.manual_seed(0)
    z = sample(p.log().expand(20_000, 3, 4))
    assert set(z.unique().tolist()) == {0.0, 1.0}  # exactly
    assert torch.allclose(z.mean((0, 1)), p, atol=0.01)


def test_gradients_go_straight_through():
    logits = torch.randn(1, 12, requires_grad=True)
    log_probs = log_probabilities(logits, CONFIG)
    weight = torch.randn(1, 3, 4)
    (through,) = torch.autograd.grad((sample(log_probs) * weight).sum(), logits, retain_graph=True)
    (soft,) = torch.autograd.grad((log_probs.exp() * weight).sum(), logits)
    assert torch.allclose(through, soft)


def test_a_row_with_its_own_generator_does_not_see_the_others():
    def draw(rows):
        log_probs = torch.full((len(rows), 7, 3, 4), 0.25).log()
        return sample(log_probs, [torch.Generator().manual_seed(row) for row in rows])

    alone, together = draw([5]), draw([1, 5, 9])
    assert torch.equal(alone[0], together[1])
    assert not torch.equal(together[0], together[1])


def test_kl_is_torchs():
    a, b = (log_probabilities(torch.randn(5, 12), CONFIG) for _ in range(2))
    expected = torch.distributions.kl_divergence(
        torch.distributions.Categorical(logits=a), torch.distributions.Categorical(logits=b)
    ).sum(-1)
    assert torch.allclose(kl_divergence(a, b), expected, atol=1e-6)
    assert torch.equal(kl_divergence(a, a), torch.zeros(5))


@pytest.mark.parametrize("value", [0.0, 1.0, -1.0, 0.37, 250.0, -3000.0])
def test_two_hot_has_the_value_as_its_mean(value):
    bins = symlog_bins().double()
    assert len(bins) == BINS
    below, share = (x.item() for x in two_hot(symlog(torch.tensor([value], dtype=torch.float64)), bins))
    hot = torch.zeros(BINS, dtype=torch.float64)
    hot[below], hot[below + 1] = 1 - share, share
    assert 0 <= share <= 1
    assert symexp(symmetric_mean(hot, bins)).item() == pytest.approx(value, rel=1e-6, abs=1e-9)


@pytest.mark.parametrize("value", [1e30, -1e30])
def test_a_value_beyond_the_bins_is_the_outermost(value):
    bins = symlog_bins()
    below, share = two_hot(symlog(torch.tensor([value])), bins)
    assert (below + share).item() == (BINS - 1 if value > 0 else 0)


def test_cross_entropy_is_that_of_the_whole_distribution():
    """Against the two-hot target written out, a value a time."""
    torch.manual_seed(0)
    head = TwoHotHead(2, 8, 1).double()
    torch.nn.init.normal_(head.net[-1].weight)
    features, values = torch.randn(7, 2).double(), torch.tensor([0.0, 1, -1, 0.37, 250, -3000, 1e12]).double()
    log_probs = head.net(features).log_softmax(-1)
    expected = []
    for row, value in zip(log_probs, symlog(values), strict=True):
        place = (value.clamp(-20, 20) + 20) / 40 * (BINS - 1)
        target = (1 - (torch.arange(BINS) - place).abs()).clamp(min=0)
        expected.append(-(target * row).sum())
    assert torch.allclose(head.loss(features, values), torch.stack(expected), rtol=1e-5)


@pytest.mark.parametrize("zero", [0.0, NO_REWARD])
def test_a_new_head_says_exactly_zero(zero):
    head, features = TwoHotHead(6, 8, 2, zero), torch.randn(3, 5, 6)
    assert torch.equal(head(features), torch.zeros(3, 5))
    surprise = math.log(math.exp(zero) + BINS - 1)
    assert torch.allclose(head.loss(features, torch.ones(3, 5)), torch.full((3, 5), surprise))
    assert torch.allclose(head.loss(features, torch.zeros(3, 5)), torch.full((3, 5), surprise - zero))


def test_reward_head_learns_to_tell_one_from_zero():
    torch.manual_seed(0)
    head = TwoHotHead(2, 16, 1)
    reward = (torch.arange(64) % 2).float()
    features = torch.stack([reward, torch.randn(64)], -1)
    optimizer = torch.optim.Adam(head.parameters(), 1e-2)
    for _ in range(120):
        optimizer.zero_grad()
        head.loss(features, reward).mean().backward()
        optimizer.step()
    assert ((head(features) > 0.5) == (reward > 0.5)).all()


def test_continue_head_is_a_bernoulli():
    head = ContinueHead(6, 8, 1)
    features = torch.randn(4, 6)
    p = head(features)
    assert torch.allclose(head.loss(features, torch.ones(4)), -p.log(), atol=1e-6)
    assert torch.allclose(head.loss(features, torch.zeros(4)), -(1 - p).log(), atol=1e-6)
