"""metrics.jsonl: one JSON object a line, cut back to the checkpoint when a run is resumed."""

from __future__ import annotations

import json
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

METRICS = "metrics.jsonl"


class RunLog:
    """Appends lines to a run's metrics.jsonl."""

    def __init__(self, path: Path, last_step: int) -> None:
        """Open `path`, dropping what a resumed run will do again: lines after `last_step`, or broken off mid-line."""
        self.path = path
        kept = [line for line in read_log(path) if line["step"] <= last_step]
        part = path.with_suffix(".part")
        part.write_text("".join(json.dumps(line) + "\n" for line in kept))
        part.rename(path)

    def write(self, step: int, kind: str, values: dict[str, Any]) -> None:
        """Append one line: `kind` is "train", "validation" or "evaluation"."""
        with self.path.open("a") as handle:
            handle.write(json.dumps({"step": step, "kind": kind, **values}) + "\n")


def read_log(path: Path) -> list[dict[str, Any]]:
    """Return the whole lines of the file; one that was being written when the run was killed, or is damaged, is not."""
    if not path.exists():
        return []
    text = path.read_text(errors="replace")
    return parsed(text[: text.rfind("\n") + 1].splitlines())


def parsed(lines: Iterable[str]) -> list[dict[str, Any]]:
    """Return what lines of metrics.jsonl say; those that are damaged are left out."""
    found = []
    for line in lines:
        with suppress(json.JSONDecodeError):
            found.append(json.loads(line))
    return [line for line in found if isinstance(line, dict) and {"step", "kind"} <= line.keys()]
