"""The scan against a loop in complex128: states, gradients, resets in every corner, accuracy over 2,000 steps.

Axes: B batch, T time, n complex states.
"""

import pytest
import torch

from longdream.worldmodels.backbones.scan import RADIX, linear_scan

B, N = 3, 5
LENGTHS = [*range(1, 81), RADIX**2 - 1, RADIX**2, RADIX**2 + RADIX + 1]


def loop(a, b, start, keep):
    """The slow reference: the recurrence as it is written."""
    x, states = start, []
    for t in range(b.shape[1]):
        x = keep[:, t, None] * a * x + b[:, t]
        states.append(x)
    return torch.stack(states, 1)


def system(length, dtype=torch.complex128, batch=B, n=N):
    """Random a, b and start; half of the rows of `keep` have resets."""
    a = torch.polar(torch.rand(n, dtype=torch.float64).sqrt(), 6.3 * torch.rand(n, dtype=torch.float64))
    b, start = torch.randn(batch, length, n, dtype=dtype), torch.randn(batch, n, dtype=dtype)
    keep = torch.rand(batch, length) > 0.1
    keep[: batch // 2] = True
    return a, b, start, keep


def gradients(scan, a, b, start, keep, weight):
    inputs = [x.clone().requires_grad_() for x in (a, b, start)]
    return torch.autograd.grad(scan(*inputs, keep), inputs, weight)


@pytest.fixture(autouse=True)
def seed():
    torch.manual_seed(0)


@pytest.mark.parametrize("length", LENGTHS)
def test_states_and_gradients_are_those_of_the_loop(length):
    a, b, start, keep = system(length)
    assert torch.allclose(linear_scan(a, b, start, keep), loop(a, b, start, keep), rtol=1e-12, atol=1e-12)
    weight = torch.randn_like(b)
    for fast, slow in zip(
        gradients(linear_scan, a, b, start, keep, weight), gradients(loop, a, b, start, keep, weight), strict=True
    ):
        assert torch.allclose(fast, slow, rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize(
    "resets", [[0], [1], [RADIX - 1], [RADIX], [RADIX + 1], [69], [0, 1, 2], [31, 32, 33, 64], list(range(70))], ids=str
)
def test_a_reset_forgets_exactly(resets):
    a, b, start, keep = system(70)
    keep[:] = True
    keep[1, resets] = False
    weight = torch.randn_like(b)
    weight[1, : resets[0]] = 0  # what counts comes after the reset
    states = linear_scan(a, b, start, keep)
    assert torch.allclose(states, loop(a, b, start, keep), rtol=1e-12, atol=1e-12)
    assert torch.equal(states[1, resets], b[1, resets])  # to the bit
    to_a, to_b, to_start = gradients(linear_scan, a, b, start, keep, weight)
    for fast, slow in zip((to_a, to_b, to_start), gradients(loop, a, b, start, keep, weight), strict=True):
        assert torch.allclose(fast, slow, rtol=1e-11, atol=1e-11)
    assert (to_start[1] == 0).all()


@pytest.mark.parametrize("length", [3, RADIX + 6])
def test_gradients_are_those_of_finite_differences(length):
    a, b, start, keep = system(length, batch=2, n=2)
    keep[1, length // 2] = False
    inputs = [x.requires_grad_() for x in (a, b, start)]
    assert torch.autograd.gradcheck(lambda *x: linear_scan(*x, keep), inputs)


def test_many_rows_are_as_few():
    a, b, start, keep = system(90, batch=7, n=4096)  # more than fits into the cache at once
    whole = linear_scan(a, b, start, keep)
    for row in range(7):
        alone = linear_scan(a, *(x[row : row + 1] for x in (b, start, keep)))
        assert torch.allclose(whole[row], alone[0])


@pytest.mark.parametrize("resets", [False, True])
def test_float32_is_accurate_over_two_thousand_steps(resets):
    a, b, start, keep = system(2000, torch.complex64, n=64)
    decay = 10 ** (-6 * torch.rand(64, dtype=torch.float64))
    decay[:16] = 1e-6
    a = torch.polar(1 - decay, a.angle())
    keep[:] = True
    if resets:
        keep[:, [0, 700, 701, 1500]] = False
    exact = loop(a, b.to(torch.complex128), start.to(torch.complex128), keep)
    error = (linear_scan(a, b, start, keep) - exact).norm(dim=(0, 1)) / exact.norm(dim=(0, 1))
    assert error.max() < 2e-6  # of every state, the slowest ones included


def test_float32_gradients_are_accurate():
    a, b, start, keep = system(1000, torch.complex64, n=64)
    weight = torch.randn_like(b)
    exact = gradients(loop, a, b.to(torch.complex128), start.to(torch.complex128), keep, weight.to(torch.complex128))
    for fast, slow in zip(gradients(linear_scan, a, b, start, keep, weight), exact, strict=True):
        assert (fast - slow).norm() < 2e-6 * slow.norm()
