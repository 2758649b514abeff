"""How sure a figure is: 95 % intervals over the evaluated episodes."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

Z95 = 1.959964  # two-sided 95 % quantile of the standard normal


class Interval(NamedTuple):
    """An estimate and the 95 % interval around it."""

    value: float
    low: float
    high: float


def proportion(successes: int, trials: int) -> Interval:
    """Return Wilson's interval of a proportion, in [0, 1]; it stays honest at 0 % and 100 %.

    Source: Wilson, "Probable inference, the law of succession, and statistical inference", 1927.
    """
    if trials < 1:
        raise ValueError("a proportion of no trials is not defined; evaluate at least one episode")
    return _wilson(successes / trials, trials)


def pooled(right: np.ndarray, count: np.ndarray) -> Interval:
    """Return the share of what is right over all episodes, with Wilson's interval as if each episode were ONE trial.

    What happens within an episode is not independent, so its many answers are not as many trials: the interval is
    rather too wide than too narrow. Not a number where there is nothing to answer.

    Args:
        right: (N) right answers of each episode.
        count: (N) answers of each episode.
    """
    if not count.sum():
        return Interval(math.nan, math.nan, math.nan)
    return _wilson(float(right.sum() / count.sum()), int((count > 0).sum()))


def _wilson(share: float, trials: int) -> Interval:
    shrink = 1 + Z95**2 / trials
    centre = (share + Z95**2 / (2 * trials)) / shrink
    half = Z95 / shrink * math.sqrt(share * (1 - share) / trials + Z95**2 / (4 * trials**2))
    return Interval(share, max(0.0, centre - half), min(1.0, centre + half))


def mean(values: np.ndarray) -> Interval:
    """Return the normal interval of the mean of `values` (N); unbounded where N = 1 leaves the spread unknown."""
    value = float(np.mean(values))
    if len(values) < 2:
        return Interval(value, -math.inf, math.inf)
    half = Z95 * float(np.std(values, ddof=1)) / math.sqrt(len(values))
    return Interval(value, value - half, value + half)
