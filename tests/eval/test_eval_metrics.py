"""The metrics against plain numpy, and what must not slip into them."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from longdream.eval.metrics import STEPS_AT_ONCE, RewardAccuracy, SquaredError, squared_error


def test_squared_error_equals_numpy_over_several_chunks() -> None:
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 256, (2, 2 * STEPS_AT_ONCE + 5, 3, 4, 5), dtype=np.uint8)
    prediction = rng.normal(0.5, 1, truth.shape).astype(np.float32)  # far outside [0, 1]: nothing is clipped
    expected = ((prediction.astype(np.float64) - truth / 255) ** 2).sum((2, 3, 4))
    found = squared_error(torch.from_numpy(prediction), torch.from_numpy(truth))
    assert found.dtype == torch.float64
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-6)


def test_squared_error_of_the_truth_is_exactly_zero() -> None:
    truth = torch.arange(256, dtype=torch.uint8).reshape(1, 1, 1, 16, 16)
    assert squared_error(truth.float() / 255, truth).item() == 0


def test_squared_error_refuses_images_of_another_shape() -> None:
    with pytest.raises(ValueError, match=r"\(1, 2, 3, 8, 8\).*\(1, 2, 3, 4, 4\)"):
        squared_error(torch.zeros(1, 2, 3, 8, 8), torch.zeros(1, 2, 3, 4, 4, dtype=torch.uint8))


def test_errors_are_averaged_over_counted_frames_only() -> None:
    rng = np.random.default_rng(1)
    error, counted = rng.random((5, 6)), rng.random((5, 6)) < 0.6
    metric = SquaredError(steps=6, episodes=5)
    for rows in ([3, 0], [4], [1, 2]):  # in any order, in uneven batches
        metric.update(torch.from_numpy(error[rows]), torch.from_numpy(counted[rows]), torch.tensor(rows))
    found = metric.compute()
    assert found.mse == pytest.approx(error[counted].mean())
    assert found.from_second == pytest.approx(error[:, 1:][counted[:, 1:]].mean())
    assert found.window(2) == pytest.approx(error[:, 2:][counted[:, 2:]].mean())
    np.testing.assert_allclose(found.curve, [error[counted[:, t], t].mean() for t in range(6)])
    np.testing.assert_allclose(found.episodes, [error[e, counted[e]].mean() for e in range(5)])


def test_what_is_not_counted_cannot_spoil_the_sums() -> None:
    metric = SquaredError(steps=2, episodes=1)
    error = torch.tensor([[1.0, math.nan]], dtype=torch.float64)
    metric.update(error, torch.tensor([[True, False]]), torch.tensor([0]))
    found = metric.compute()
    assert found.mse == 1
    assert np.isnan(found.curve[1])


def test_one_step_and_one_episode_keep_their_axes() -> None:
    metric = SquaredError(steps=1, episodes=1)  # torchmetrics squeezes tensors of one element
    metric.update(torch.tensor([[2.0]], dtype=torch.float64), torch.tensor([[True]]), torch.tensor([0]))
    assert metric.compute().curve.shape == metric.compute().episodes.shape == (1,)


def test_reward_accuracy_counts_truth_and_prediction() -> None:
    metric = RewardAccuracy()
    metric.update(torch.tensor([True, True, False]), torch.tensor([True, False, False]))
    metric.update(torch.tensor([False, False]), torch.tensor([True, False]))
    found = metric.compute()
    assert found == (2, 1, 1, 1)  # truth 0: two right, one wrong; truth 1: one wrong, one right
    assert found.interval.value == pytest.approx(3 / 5)
    assert found.rewarded == 2
    assert found.majority == pytest.approx(3 / 5)
