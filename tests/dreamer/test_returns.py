"""Lambda-returns and weights against their definitions, in float64."""

import pytest
import torch

from longdream.dreamer.returns import lambda_returns, step_weights

N, H = 4, 7


def example():
    torch.manual_seed(0)
    value = torch.randn(N, H + 1).double()
    return torch.randn(N, H).double(), torch.rand(N, H).double(), value


def n_step_return(reward, discount, value, t, n):
    """The next n rewards of step t of one trajectory, and what the critic says after them."""
    total, factor = 0.0, 1.0
    for k in range(t, t + n):
        total += factor * reward[k].item()
        factor *= discount[k].item()
    return total + factor * value[t + n].item()


@pytest.mark.parametrize("trace", [0.0, 0.3, 0.95, 1.0])
def test_a_lambda_return_is_the_mean_of_all_n_step_returns(trace):
    reward, discount, value = example()
    returns = lambda_returns(reward, discount, value, trace)
    assert returns.shape == (N, H)
    for i in range(N):
        for t in range(H):
            left = H - t
            some = [n_step_return(reward[i], discount[i], value[i], t, n) for n in range(1, left + 1)]
            shares = [(1 - trace) * trace ** (n - 1) for n in range(1, left)] + [trace ** (left - 1)]
            expected = sum(share * part for share, part in zip(shares, some, strict=True))
            assert returns[i, t].item() == pytest.approx(expected, abs=1e-12)


def test_nothing_after_the_end_of_an_episode_counts():
    reward, discount, value = example()
    discount[:, 3] = 0
    returns = lambda_returns(reward, discount, value, 0.95)
    reward[:, 4:] += 100
    value[:, 4:] += 100
    assert torch.equal(lambda_returns(reward, discount, value, 0.95)[:, :4], returns[:, :4])


def test_returns_can_be_differentiated():
    assert torch.autograd.gradcheck(
        lambda *x: lambda_returns(*x, 0.9), [x.requires_grad_() for x in example()], fast_mode=True
    )


def test_weights_are_products_of_what_lies_before():
    torch.manual_seed(0)
    cont, discount = torch.tensor([1.0, 0.0, 1.0, 0.5]).double(), torch.rand(N, H).double()
    discount[2, 4] = 0
    weights = step_weights(cont, discount)
    for i in range(N):
        expected = cont[i].item()
        for t in range(H):
            assert weights[i, t].item() == pytest.approx(expected, abs=1e-15)
            expected *= discount[i, t].item()
    assert not weights[1].any()  # it begins where an episode has ended
    assert weights[2, 4] > 0  # the action that ends an episode counts
    assert not weights[2, 5:].any()
