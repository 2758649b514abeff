"""Which episodes are for training, validation and test: a pure function of the episode's index."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

SPLITS = ("train", "validation", "test", "all")


@dataclass(frozen=True)
class Splits:
    """Episode e belongs to `test` or `validation` if e % period is listed there, else to `train`.

    Growing a data set therefore never moves an episode.
    """

    period: int
    validation: tuple[int, ...]
    test: tuple[int, ...]

    @classmethod
    def from_ratio(cls, train: int, validation: int, test: int) -> Splits:
        """Return the splits of a ratio: 8, 1, 1 is period 10 with test 8 and validation 9.

        Raises:
            ValueError: if nothing is left to train on, or a number is negative.
        """
        if train < 1 or validation < 0 or test < 0:
            raise ValueError(
                f"split {train}/{validation}/{test}: train must be 1 or more, the others 0 or more, as in 8/1/1"
            )
        unit = math.gcd(train, validation, test)
        train, validation, test = train // unit, validation // unit, test // unit
        period = train + validation + test
        return cls(period, tuple(range(train + test, period)), tuple(range(train, train + test)))

    @classmethod
    def from_text(cls, ratio: str) -> Splits:
        """Return the splits of a ratio as a command line has it: "8/1/1".

        Raises:
            ValueError: if it is no such ratio.
        """
        try:
            train, validation, test = (int(part) for part in ratio.split("/"))
        except ValueError:
            raise ValueError(f"--split {ratio}: three whole numbers train/validation/test, as in 8/1/1") from None
        return cls.from_ratio(train, validation, test)

    @classmethod
    def from_json(cls, payload: dict[str, Any]) -> Splits:
        """Read what `to_json` wrote."""
        return cls(int(payload["period"]), tuple(payload["validation"]), tuple(payload["test"]))

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return {"period": self.period, "test": list(self.test), "validation": list(self.validation)}

    def select(self, name: str, episodes: np.ndarray) -> np.ndarray:
        """Return those of `episodes` that belong to split `name` ("all": every one), in their order.

        Raises:
            ValueError: if there is no such split.
        """
        if name not in SPLITS:
            raise ValueError(f"there is no split {name!r}; the splits are {', '.join(SPLITS)}")
        if name == "all":
            return episodes
        place = episodes % self.period
        if name == "train":
            return episodes[~np.isin(place, self.validation + self.test)]
        return episodes[np.isin(place, self.validation if name == "validation" else self.test)]

    def __str__(self) -> str:
        train = self.period - len(self.validation) - len(self.test)
        return f"{train}/{len(self.validation)}/{len(self.test)}"
