"""The two kinds of questions: which class, and which vector.

Axes: T steps, (...) the shape of one step's target, V classes, M vectors.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from .task import Measure, Sides, Task

NOT_ASKED = -1  # a target's class where there is nothing to answer


class Classes(Task):
    """Which of V classes, for every cell, object or door. Targets are (T ...) int64, NOT_ASKED where nothing is."""

    measure = Measure.ACCURACY
    classes: ClassVar[int]  # V

    def output_shape(self, target: Tensor) -> tuple[int, ...]:
        """Return (... V): a logit for every class."""
        return (*target.shape[1:], self.classes)

    def loss(self, output: Tensor, target: Tensor) -> Tensor:
        """Return the cross-entropy, mean over what is asked; 0 where nothing is."""
        total = F.cross_entropy(output.flatten(0, -2), target.flatten(), ignore_index=NOT_ASKED, reduction="sum")
        return total / (target != NOT_ASKED).sum().clamp(min=1)

    def score(self, output: Tensor, target: Tensor) -> Tensor:
        """Return the share of right answers among those asked for; NaN at a step that asks for none."""
        right = (self.answer(output) == target).flatten(1).sum(1, dtype=torch.float64)
        return right / (target != NOT_ASKED).flatten(1).sum(1)

    def constant(self, targets: Iterable[Tensor]) -> Tensor:
        """Return how often each class was right, (... V): the likeliest wins, of equals the first."""
        counts = [torch.stack([(target == v).sum(0) for v in range(self.classes)], -1) for target in targets]
        return torch.stack(counts).sum(0).double()

    def answer(self, output: Tensor) -> Tensor:
        """Return the likeliest class, (T ...)."""
        return output.argmax(-1)

    def as_features(self, target: Tensor) -> Tensor:
        """Return the classes one-hot."""
        return self.one_hot(target).flatten(1)

    def one_hot(self, target: Tensor) -> Tensor:
        """Return (T ... V) float32, zeros where nothing is asked."""
        return (target[..., None] == torch.arange(self.classes, device=target.device)).float()


class Vectors(Task):
    """Where M things are. Targets are (T M 2) float32, in cells."""

    measure = Measure.SQUARED_ERROR

    def output_shape(self, target: Tensor) -> tuple[int, ...]:
        """Return (M 2)."""
        return tuple(target.shape[1:])

    def loss(self, output: Tensor, target: Tensor) -> Tensor:
        """Return the squared error, summed over the two coordinates, mean over the vectors."""
        return (output - target).square().sum(-1).mean()

    def score(self, output: Tensor, target: Tensor) -> Tensor:
        """Return the same error per step."""
        return (output.double() - target.double()).square().sum(-1).mean(-1)

    def constant(self, targets: Iterable[Tensor]) -> Tensor:
        """Return the mean over all steps, (M 2) float64."""
        total, steps = torch.zeros((), dtype=torch.float64), 0
        for target in targets:
            total, steps = total + target.sum(0, dtype=torch.float64), steps + len(target)
        return total / steps

    def answer(self, output: Tensor) -> Tensor:
        """Return the vectors themselves."""
        return output

    def as_features(self, target: Tensor) -> Tensor:
        """Return the coordinates, (T M*2)."""
        return target.flatten(1)


class Directions(Vectors):
    """Vectors from the agent to things, as it sees them: (to its right, ahead of it)."""

    @abstractmethod
    def target(self, sides: Sides) -> Tensor:
        """Return (T M 2)."""

    def points(self, answer: Tensor, sides: Sides) -> Tensor:
        """Return the places that the vectors lead to: needs `agent_pos` and `agent_dir`."""
        ahead = sides["agent_dir"][:, None]  # (T 1 2)
        right = torch.stack([ahead[..., 1], -ahead[..., 0]], -1)
        return sides["agent_pos"][:, None] + answer[..., :1] * right + answer[..., 1:] * ahead


def as_seen(places: Tensor, sides: Sides) -> Tensor:
    """Return the way from the agent to places (T M 2): (T M 2), to its right and ahead of it."""
    offset, ahead = places - sides["agent_pos"][:, None], sides["agent_dir"][:, None]
    right = torch.stack([ahead[..., 1], -ahead[..., 0]], -1)
    return torch.stack([(offset * right).sum(-1), (offset * ahead).sum(-1)], -1)
