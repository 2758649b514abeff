"""What a benchmark leaves behind: a table, results.json and benchmark.png, with the paper's claims beside them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from textwrap import fill
from typing import Any, NamedTuple

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ..provenance import provenance
from ..worldmodels.presets import PRESETS
from . import papers
from .charts import run_colour
from .figures import STYLE
from .findings import number
from .speed import Phase, Sample, Work, parameters
from .table import NONE

FORMAT = 1  # of results.json
UNITS: dict[Phase, str] = {"training": "episodes/s", "imagination": "frames/s"}
MEMORY = (
    "peak of the model's own process: of the GPU's memory, on a CPU all that is resident, with about 0.34 GB of Python "
    "and its libraries"
)
PAPER: dict[Phase, str] = dict(zip(UNITS, papers.SPEED, strict=True))


class Measured(NamedTuple):
    """What was measured of one model in one phase."""

    work: Work
    samples: list[Sample]  # one a batch
    problem: str | None  # why it did not come to its end

    @property
    def rate(self) -> float | None:
        """Episodes trained on, or frames imagined, a second; None where nothing was measured."""
        if not self.samples:
            return None
        return self.work.amount * len(self.samples) / sum(sample.seconds for sample in self.samples)

    @property
    def memory_gb(self) -> float | None:
        """Peak; None where nothing was measured."""
        return self.samples[-1].memory_gb if self.samples else None


def write(found: Sequence[Measured], out: Path) -> None:
    """Print the table and write the files into the existing folder `out`."""
    text = json.dumps(as_dict(found), indent=2, allow_nan=False)
    (out / "results.json").write_text(text + "\n")
    print(as_text(found))
    if any(measured.samples for measured in found):
        save_bars(found, out / "benchmark.png")
    print(f"\n{out / 'benchmark.png'}")


def phases(found: Sequence[Measured]) -> dict[Phase, list[Measured]]:
    """Return what was measured by phase, the models in their order."""
    return {p: rows for p in UNITS if (rows := [measured for measured in found if measured.work.phase == p])}


def times_first(rows: Sequence[Measured]) -> list[float | None]:
    """Return each model's rate as a multiple of the first one's."""
    first = rows[0].rate
    return [row.rate / first if row.rate and first else None for row in rows]


def as_text(found: Sequence[Measured]) -> str:
    """Return the tables for the terminal."""
    return "\n\n".join(
        [*(_table(phase, rows) for phase, rows in phases(found).items()), fill(f"Memory: {MEMORY}.", 110)]
    )


def _table(phase: Phase, rows: Sequence[Measured]) -> str:
    first = rows[0].work
    lines = [[_title(rows), "parameters", UNITS[phase], f"x {first.preset}", "peak, GB", "batches"]]
    for row, times in zip(rows, times_first(rows), strict=True):
        size = f"{parameters(row.work.preset) / 1e6:.1f} M"
        count = f"{len(row.samples)} of {row.work.batches}"
        lines.append([row.work.preset, size, _shown(row.rate), _shown(times), _shown(row.memory_gb), count])
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    text = ["  ".join(f"{c:<{w}}" if i == 0 else f"{c:>{w}}" for i, (c, w) in enumerate(zip(line, widths, strict=True)))
            for line in lines]  # fmt: skip
    problems = [f"{row.work.preset} did not come to its end: {row.problem}" for row in rows if row.problem]
    return "\n".join([text[0], "-" * len(text[0]), *text[1:], _printed(phase, 110), *problems])


def _printed(phase: Phase, width: int) -> str:
    return fill(f"The paper, on an RTX A6000. {PAPER[phase]}", width)


def _title(rows: Sequence[Measured]) -> str:
    work = rows[0].work
    if work.phase == "training":
        return f"training on {work.batch} x {work.time}"
    return f"imagining {work.batch} x {work.horizon} after {work.time}"


def _shown(value: float | None) -> str:
    return NONE if value is None else number(value)


def as_dict(found: Sequence[Measured]) -> dict[str, Any]:
    """Return the content of results.json."""
    results = [
        {
            **asdict(row.work),
            "threads": row.work.threads if row.work.device == "cpu" else None,
            "parameters": parameters(row.work.preset),
            "unit": UNITS[phase],
            "rate": row.rate,
            "times_first": times,
            "peak_memory_gb": row.memory_gb,
            "seconds": [sample.seconds for sample in row.samples],
            "problem": row.problem,
            "configuration": asdict(PRESETS[row.work.preset]),
        }
        for phase, rows in phases(found).items()
        for row, times in zip(rows, times_first(rows), strict=True)
    ]
    return {
        "format": FORMAT,
        "data": "random frames, new weights",
        "memory": MEMORY,
        "results": results,
        "paper": PAPER,
        "provenance": provenance(),
    }


def save_bars(found: Sequence[Measured], path: Path) -> None:
    """Draw speed and memory of every model, a panel for each phase."""
    shown = phases(found)
    with matplotlib.rc_context(STYLE):
        high = 1.3 + 0.5 * max(map(len, shown.values()))
        figure = Figure(figsize=(5.6 * len(shown), high), layout="constrained")
        for axes, (phase, rows) in zip(figure.subplots(1, len(shown), squeeze=False).flat, shown.items(), strict=True):
            _draw(axes, phase, rows)
        figure.savefig(path)


def _draw(axes: Axes, phase: Phase, rows: Sequence[Measured]) -> None:
    rates = [row.rate or 0.0 for row in rows]
    names = [row.work.preset for row in rows]
    bars = axes.barh(names, rates, 0.6, color=[run_colour(place) for place in range(len(rows))])
    notes = [
        "not measured" if row.rate is None else f"{number(row.rate)} ({_shown(times)}x), {_shown(row.memory_gb)} GB"
        for row, times in zip(rows, times_first(rows), strict=True)
    ]
    axes.bar_label(bars, notes, padding=4, fontsize=9)
    axes.invert_yaxis()
    axes.grid(False, axis="y")
    axes.set_xlim(0, 1.6 * max([*rates, 1e-9]))  # room for the words
    axes.set_title(_title(rows))
    axes.set_xlabel(f"{UNITS[phase]}\n{_printed(phase, 85)}", fontsize=8)
