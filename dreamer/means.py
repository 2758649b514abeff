"""Means of what is logged, over the updates since the line before."""

from __future__ import annotations

import torch
from torch import Tensor


class Means:
    """Adds up scalars where they are, so that nobody waits for the device before a line is written."""

    def __init__(self) -> None:
        self._sums: dict[str, Tensor] = {}
        self._count = 0

    def add(self, terms: dict[str, Tensor]) -> None:
        """Take the detached scalars of one update."""
        for name, term in terms.items():
            self._sums[name] = self._sums[name] + term.double() if name in self._sums else term.double()
        self._count += 1

    def so_far(self) -> dict[str, float]:
        """Return the means, nothing where there was no update."""
        return {name: total.item() / self._count for name, total in self._sums.items()}

    def take(self) -> dict[str, float]:
        """Return the means, nothing where there was no update, and begin anew."""
        found = self.so_far()
        self._sums, self._count = {}, 0
        return found

    def state(self) -> dict[str, object]:
        """Return what `restore` takes."""
        return {"sums": {name: total.cpu() for name, total in self._sums.items()}, "count": self._count}

    def restore(self, state: dict, device: torch.device) -> None:
        """Undo `state`."""
        self._sums = {name: total.to(device) for name, total in state["sums"].items()}
        self._count = state["count"]
