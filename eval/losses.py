"""The losses of a training run, read from its metrics.jsonl: one JSON object a line: step, kind and the terms."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import NamedTuple

KINDS = ("train", "validation")
NO_TERMS = ("step", "seconds")  # numbers that every line has
PREFERRED = ("loss", "reconstruction", "kl", "dynamics", "reward", "cont")  # drawn in this order, others after


class Series(NamedTuple):
    """One term of one kind over training."""

    steps: list[int]
    values: list[float]


class Losses(NamedTuple):
    """What a run logged."""

    terms: dict[str, dict[str, Series]]  # {term: {kind: Series}}
    unreadable: int  # lines that are no JSON object, such as one that a killed run left half written


def run_folder(checkpoint: Path) -> Path:
    """Return the run that a checkpoint lies in: the nearest folder with a metrics.jsonl, or the checkpoint itself."""
    nearest = (checkpoint, *checkpoint.parents[:2])
    return next((folder for folder in nearest if (folder / "metrics.jsonl").exists()), checkpoint)


def read_losses(path: Path) -> Losses:
    """Read a metrics.jsonl.

    A term is whatever the validation lines carry a finite number for, so speeds and learning rates, which only training
    lines have, stay out; without validation lines it is what is `PREFERRED`.
    """
    lines = [_parse(line) for line in path.read_text().splitlines() if line.strip()]
    records = [line for line in lines if line is not None and line.get("kind") in KINDS and "step" in line]
    unreadable = sum(line is None for line in lines)
    names = {name for record in records if record["kind"] == "validation" for name in _numbers(record)}
    names = names or {name for record in records for name in _numbers(record) if name in PREFERRED}
    order = [name for name in PREFERRED if name in names] + sorted(names - set(PREFERRED))
    return Losses({name: _series(records, name) for name in order}, unreadable)


def _parse(line: str) -> dict | None:
    try:
        record = json.loads(line)
    except json.JSONDecodeError:
        return None
    return record if isinstance(record, dict) else None


def _numbers(record: dict) -> list[str]:
    return [name for name, value in record.items() if name not in NO_TERMS and _finite(value)]


def _finite(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _series(records: list[dict], name: str) -> dict[str, Series]:
    """Return {kind: Series} of one term, by step; of a step logged twice (a resumed run) the later."""
    found: dict[str, Series] = {}
    for kind in KINDS:
        points = {r["step"]: r[name] for r in records if r["kind"] == kind and _finite(r.get(name))}
        if points:
            steps = sorted(points)
            found[kind] = Series(steps, [points[step] for step in steps])
    return found
