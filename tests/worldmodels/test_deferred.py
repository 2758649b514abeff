"""Deferred weight gradients against autograd's own."""

import pytest
import torch

from longdream.worldmodels.deferred import DeferredLinear


def unrolled(linear, x, steps):
    total = 0.0
    for _ in range(steps):
        x = linear(x).tanh()
        total = total + x.square().sum()
    return total


@pytest.mark.parametrize("steps", [0, 1, 7])
def test_gradients_equal_those_of_a_plain_product(steps):
    torch.manual_seed(0)
    weight = torch.randn(5, 5, dtype=torch.float64, requires_grad=True)
    x = torch.randn(3, 5, dtype=torch.float64, requires_grad=True)
    total = unrolled(DeferredLinear(2 * weight), x, steps) + weight.square().sum() + x.sum()
    plain = unrolled(lambda v: v @ (2 * weight).T, x, steps) + weight.square().sum() + x.sum()
    assert torch.equal(total, plain)
    for a, b in zip(torch.autograd.grad(total, [weight, x]), torch.autograd.grad(plain, [weight, x]), strict=True):
        assert torch.allclose(a, b)


def test_a_backward_pass_through_some_of_the_uses():
    """A loss of the early steps only: the later uses must not contribute."""
    weight = torch.randn(4, 4, dtype=torch.float64, requires_grad=True)
    x = torch.randn(2, 4, dtype=torch.float64)
    linear = DeferredLinear(weight)
    early = linear(x).tanh()
    linear(early)
    gradient = torch.autograd.grad(early.sum(), weight)[0]
    assert torch.allclose(gradient, torch.autograd.grad((x @ weight.T).tanh().sum(), weight)[0])


def test_a_frozen_weight_lets_the_gradient_of_the_input_through():
    weight, x = torch.randn(4, 4), torch.randn(2, 4, requires_grad=True)
    DeferredLinear(weight)(x).sum().backward()
    assert torch.allclose(x.grad, weight.sum(0).expand(2, 4))


def test_under_autocast_the_product_is_low_and_the_gradient_is_the_weights():
    weight = torch.randn(4, 4, requires_grad=True)
    with torch.autocast("cpu", torch.bfloat16):
        y = DeferredLinear(weight)(torch.ones(2, 4))
    assert y.dtype == torch.bfloat16
    y.float().sum().backward()
    assert weight.grad.dtype == torch.float32
    assert torch.equal(weight.grad, torch.full((4, 4), 2.0))
