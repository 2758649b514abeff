"""The contract of a probe: what is asked of a model's features, and how the answers are marked.

Axes: T steps, (...) the shape of one step's target, O outputs, F features, I inputs added to the features.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from enum import Enum
from typing import ClassVar

from torch import Tensor

from ..datasets.info import DatasetInfo

Sides = Mapping[str, Tensor]  # side arrays, (T ...) throughout: what holds for a whole episode is repeated


class Measure(Enum):
    """What a score is."""

    ACCURACY = "accuracy"  # share of right answers, 0 to 1
    SQUARED_ERROR = "squared error"  # cells^2, summed over the coordinates


class Task(ABC):
    """One question. `kinds.py` answers most of this for classes and for vectors; a new task is one class.

    Attributes:
        name: what `--task` calls it; two tasks may share a name if no data set fits both.
        about: the question in a few words.
        per_step: the side arrays that it needs which have a value at every step.
        per_episode: those which have one for the whole episode.
        hidden: width of the probe's hidden layers.
        measure: what `score` returns.
    """

    name: ClassVar[str]
    about: ClassVar[str]
    per_step: ClassVar[tuple[str, ...]] = ()
    per_episode: ClassVar[tuple[str, ...]] = ()
    hidden: ClassVar[int] = 400
    measure: ClassVar[Measure]

    def fits(self, info: DatasetInfo) -> bool:
        """Return whether a data set holds what is asked for."""
        found = {(name, spec.per_step) for name, spec in info.arrays.items()}
        wanted = {(name, True) for name in self.per_step} | {(name, False) for name in self.per_episode}
        return wanted <= found

    def added(self, sides: Sides) -> Tensor | None:
        """Return what the probe is told beside the features, (T I) float32, or None."""
        return None

    @abstractmethod
    def target(self, sides: Sides) -> Tensor:
        """Return the right answers, (T ...)."""

    @abstractmethod
    def output_shape(self, target: Tensor) -> tuple[int, ...]:
        """Return the shape of the probe's output at one step."""

    @abstractmethod
    def loss(self, output: Tensor, target: Tensor) -> Tensor:
        """Return what training minimises, (). A batch may ask nothing: that is 0, and no NaN."""

    @abstractmethod
    def score(self, output: Tensor, target: Tensor) -> Tensor:
        """Return the mark of every step, (T) float64, in the unit of `measure`; NaN where nothing is asked."""

    @abstractmethod
    def constant(self, targets: Iterable[Tensor]) -> Tensor:
        """Return the output of one step that is best if it is always given; `targets` come an episode at a time."""

    @abstractmethod
    def answer(self, output: Tensor) -> Tensor:
        """Return what an output says, as a target would say it."""

    @abstractmethod
    def as_features(self, target: Tensor) -> Tensor:
        """Return the right answers as features, (T F) float32: what a probe is fed whose score has to be perfect."""

    def cells(self, answer: Tensor) -> Tensor | None:
        """Return the part of the map that answers are about, (T S S), 1 = free, row 0 at the bottom; None: no such."""
        return None

    def points(self, answer: Tensor, sides: Sides) -> Tensor | None:
        """Return the places on the map that answers are about, (T M 2) in cells; None: there are none."""
        return None
