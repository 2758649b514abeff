"""The scale of returns against numpy's percentiles."""

import numpy as np
import pytest
import torch

from longdream.dreamer.normalise import ReturnScale, percentile


@pytest.mark.parametrize("size", [1, 2, 20, 21, 1000])
@pytest.mark.parametrize("share", [0.0, 0.05, 0.5, 0.95, 1.0])
def test_percentiles_are_numpys(size, share):
    x = np.random.default_rng(size).normal(size=size)
    assert percentile(torch.from_numpy(x), share).item() == pytest.approx(np.quantile(x, share), abs=1e-12)


def test_percentiles_take_more_than_torchs_quantile():
    x = torch.ones(2**24 + 1)
    with pytest.raises(RuntimeError, match="too large"):
        torch.quantile(x, 0.5)
    assert percentile(x, 0.5) == 1


def test_the_scale_is_the_running_range():
    rng, scale = np.random.default_rng(0), ReturnScale(decay=0.9).double()
    low = high = 0.0
    for step in range(30):
        returns = rng.normal(loc=step, scale=10, size=(7, 5))
        low = 0.9 * low + 0.1 * np.quantile(returns, 0.05)
        high = 0.9 * high + 0.1 * np.quantile(returns, 0.95)
        assert scale(torch.from_numpy(returns)).item() == pytest.approx(max(1, high - low), rel=1e-12)


def test_small_returns_are_not_blown_up():
    scale = ReturnScale(decay=0.5)
    for _ in range(20):
        assert scale(0.01 * torch.randn(8, 8)) == 1


def test_the_scale_goes_on_from_a_checkpoint():
    torch.manual_seed(0)
    before, after = ReturnScale(decay=0.9), ReturnScale(decay=0.9)
    before(100 * torch.randn(8, 8))
    after.load_state_dict(before.state_dict())
    returns = 100 * torch.randn(8, 8)
    assert torch.equal(before(returns), after(returns))
    assert before(returns) > 1


def test_half_precision_returns_are_ranked_in_the_scales_own_precision():
    scale = ReturnScale(decay=0.0)
    assert scale((1000 * torch.randn(64)).to(torch.bfloat16)).dtype == torch.float32
