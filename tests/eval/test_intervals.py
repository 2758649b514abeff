"""The intervals against values from tables."""

from __future__ import annotations

import math

import numpy as np
import pytest

from longdream.eval import intervals


def test_wilson_interval_of_eight_in_ten() -> None:
    assert intervals.proportion(8, 10) == pytest.approx((0.8, 0.4902, 0.9433), abs=1e-4)


def test_wilson_interval_of_all_is_not_certainty() -> None:
    found = intervals.proportion(20, 20)
    assert found.high == 1
    assert found.low == pytest.approx(0.8389, abs=1e-4)


def test_wilson_interval_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one episode"):
        intervals.proportion(0, 0)


def test_interval_of_a_mean_covers_it_95_times_in_a_hundred() -> None:
    rng = np.random.default_rng(0)
    found = [intervals.mean(rng.normal(3, 2, 50)) for _ in range(2000)]
    assert np.mean([i.low < 3 < i.high for i in found]) == pytest.approx(0.95, abs=0.015)


def test_interval_of_one_value_is_unbounded() -> None:
    assert intervals.mean(np.array([4.0])) == (4.0, -math.inf, math.inf)


def test_answers_within_an_episode_are_no_more_sure_than_one_trial() -> None:
    right, count = np.array([10, 0, 7]), np.array([10, 0, 10])  # the second episode asked nothing
    found = intervals.pooled(right, count)
    assert found.value == 17 / 20
    assert found.high - found.low > 2 * (intervals.proportion(17, 20).high - intervals.proportion(17, 20).low)
    assert intervals.pooled(np.array([1, 1, 0]), np.array([1, 1, 1])) == intervals.proportion(2, 3)
    assert math.isnan(intervals.pooled(np.array([0]), np.array([0])).value)
