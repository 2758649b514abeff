"""What actions and rewards a data set holds: counted episode by episode, so memory holds one.

Axes: T time, A action.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from .episode import QUERY
from .reader import EpisodeDataset


@dataclass
class Spread:
    """Mean, standard deviation and range of numbers that come in pieces; along axis 0."""

    count: int = 0
    total: np.ndarray = field(default_factory=lambda: np.zeros(()))  # float64, as all of these
    squares: np.ndarray = field(default_factory=lambda: np.zeros(()))
    low: np.ndarray = field(default_factory=lambda: np.array(math.inf))
    high: np.ndarray = field(default_factory=lambda: np.array(-math.inf))

    def add(self, values: np.ndarray) -> None:
        """Take more numbers (N ...)."""
        if len(values) == 0:
            return
        values = values.astype(np.float64)
        self.count += len(values)
        self.total = self.total + values.sum(0)
        self.squares = self.squares + (values**2).sum(0)
        self.low, self.high = np.minimum(self.low, values.min(0)), np.maximum(self.high, values.max(0))

    @property
    def mean(self) -> np.ndarray:
        """Return the mean (...)."""
        return self.total / self.count

    @property
    def deviation(self) -> np.ndarray:
        """Return the standard deviation (...)."""
        return np.sqrt(np.maximum(self.squares / self.count - self.mean**2, 0))


@dataclass
class Counts:
    """Actions, rewards and phases of all episodes. Padding counts: a model is trained on it too."""

    one_hot: bool  # discrete actions
    action: Spread = field(default_factory=Spread)  # (A); the first step of an episode has none
    reward: Spread = field(default_factory=Spread)
    returns: Spread = field(default_factory=Spread)
    nonzero: int = 0  # steps with a reward other than 0
    terminal: int = 0  # episodes with a terminal step
    query: int = 0  # steps
    pad: int = 0  # steps

    def rows(self) -> list[tuple[str, str]]:
        """Return what was counted in words, as (name, value)."""
        reward, returns, steps = self.reward, self.returns, self.reward.count
        return [
            *self._actions(),
            (
                "reward",
                f"mean {reward.mean:.4g}, std {reward.deviation:.4g}, {reward.low:g} to {reward.high:g}, "
                f"not 0 in {self.nonzero / steps:.2%} of the steps",
            ),
            ("return", f"mean {returns.mean:.3f}, std {returns.deviation:.3f}, {returns.low:g} to {returns.high:g}"),
            ("terminal", f"{self.terminal:,} of {returns.count:,} episodes"),
            ("query and padding", f"{self.query / steps:.1%} and {self.pad / steps:.1%} of the steps"),
        ]

    def _actions(self) -> list[tuple[str, str]]:
        action = self.action
        if action.count == 0:
            return [("actions", "none")]
        if self.one_hot:
            shares = [f"{number}: {share:.1%}" for number, share in enumerate(action.mean)]
            return [("actions", f"{'  '.join(shares)}  of {action.count:,}")]
        table = zip(action.mean, action.deviation, action.low, action.high, strict=True)
        return [
            (f"action {number}", f"mean {mean:.3f}, std {deviation:.3f}, {low:g} to {high:g}")
            for number, (mean, deviation, low, high) in enumerate(table)
        ]


def count(dataset: EpisodeDataset, progress: Callable[[int, int], object] = lambda done, total: None) -> Counts:
    """Count over every episode that is there. Only small arrays are read.

    Args:
        dataset: where from.
        progress: called with the episodes counted and their total.

    Raises:
        DatasetError: if the data are damaged.
    """
    counts = Counts(one_hot=dataset.info.arrays["action"].dtype == "uint8")
    for done, episode in enumerate(dataset.indices.tolist(), 1):
        reward, terminal = dataset.read("reward", episode), dataset.read("terminal", episode)
        counts.action.add(dataset.read("action", episode, start=1))
        counts.reward.add(reward)
        counts.returns.add(reward.sum(keepdims=True, dtype=np.float64))
        counts.nonzero += int(np.count_nonzero(reward))
        counts.terminal += bool(terminal.any())
        counts.query += int((dataset.read("phase", episode) == QUERY).sum())
        counts.pad += int(dataset.read("pad", episode).sum())
        progress(done, len(dataset))
    return counts
