"""What was examined: a run's name, its evaluation, and where the figures come from.

An `origin` holds the provenance of the process, and
    "checkpoint", "config"        of this run
    "environment", "options"      of the data set
    "settings"                    of the evaluation: split, episodes, seed, ...
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from .evaluation import Evaluation
from .losses import run_folder


class Examined(NamedTuple):
    """One run of those that are compared; all were held to the same episodes."""

    name: str  # of the run, no two alike
    evaluation: Evaluation
    origin: dict[str, Any]


def names(checkpoints: Sequence[Path]) -> list[str]:
    """Return a name for each checkpoint folder: its run's, with as much of the path before it as tells them apart.

    Raises:
        ValueError: two of them are the same folder.
    """
    whole = [path.resolve() for path in checkpoints]
    if twice := {path for path in whole if whole.count(path) > 1}:
        raise ValueError(f"{min(twice)} is given twice; give each checkpoint once")
    runs = [run_folder(path) for path in whole]
    told_by = runs if len(set(runs)) == len(runs) else whole  # two checkpoints of one run: by their own folders
    for depth in range(1, max(len(path.parts) for path in told_by) + 1):
        found = ["/".join(path.parts[-depth:]) for path in told_by]
        if len(set(found)) == len(found):
            break
    return found
