"""Figure 3, speed and memory: it needs no training, `longdream benchmark` measures new models, one after the other."""

from __future__ import annotations

import csv
import json
import os
import shutil
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import matplotlib
from matplotlib.figure import Figure

from ..eval.figures import STYLE
from ..eval.findings import number
from ..eval.papers import SPEED
from ..eval.table import NONE
from ..provenance import provenance
from .children import Failed, Stopped
from .commands import flags
from .marked import write_section, write_whole
from .plan import Options
from .progress import ASKED, RESULTS, read_json
from .scales import label
from .schedule import Deadline, Job
from .session import Session
from .sweep import Outcome
from .tables import FAMILIES
from .watch import say

PHASES = {"training": "episodes/s", "imagination": "frames/s"}


class Benchmark(NamedTuple):
    """What is to be measured, and where it goes."""

    presets: dict[str, str]  # by row
    options: Options  # of `longdream benchmark`
    runs: Path
    out: Path
    scale_name: str
    command: str
    results_md: Path | None = None

    def folder(self, row: str) -> Path:
        """Return where the figures of a row lie."""
        return self.runs / "benchmark" / row

    def words(self, row: str, out: Path) -> list[str]:
        """Return the command that measures a row."""
        settings = self.options | {"model": self.presets[row], "out": out}
        return [sys.executable, "-m", "longdream.eval.benchmark", *flags(settings)]

    def found(self, row: str) -> list[dict[str, Any]]:
        """Return a row's figures, one for each phase; none where it was not measured, or with other options.

        Raises:
            ValueError: one of its files is damaged.
        """
        folder = self.folder(row)
        if not (folder / RESULTS).exists():
            return []
        asked, found = (read_json(folder / name, f"remove {folder}") for name in (ASKED, RESULTS))
        return found["results"] if asked == self._asked(row) else []

    def measure(self, session: Session, row: str) -> None:
        """Measure a row, if it is not there in all its phases; its folder appears when it is whole."""
        there = self.found(row)
        if there and not any(phase["problem"] for phase in there):
            return
        say(f"measuring {label(row)}")
        part = self.folder(row).with_name(f".{row}-{os.getpid()}.part")
        try:
            session.children.run(self.words(row, part), self.runs / "benchmark" / f"{row}.log")
        finally:  # one phase may have failed, and the other be measured
            if (part / RESULTS).exists() and not session.children.stopping:
                (part / ASKED).write_text(json.dumps(self._asked(row)))
                shutil.rmtree(self.folder(row), ignore_errors=True)
                part.rename(self.folder(row))
            for left in part.parent.glob(f".{row}-*.part"):
                shutil.rmtree(left)

    def _asked(self, row: str) -> Options:
        return self.options | {"model": self.presets[row]}


def benchmark(order: Benchmark, rows: Sequence[str], deadline: Deadline) -> Outcome:
    """Measure those rows that are not measured yet, and write the figure of all that are there."""
    failed: dict[str, str] = {}

    def note(row: str, error: BaseException) -> None:
        if isinstance(error, Stopped):
            return
        if not isinstance(error, Failed | ValueError | OSError):
            raise error
        failed[row] = str(error)
        say(f"{row}  FAILED: {error}")

    with Session(os.cpu_count() or 1, deadline) as session:
        session.do([Job(row, partial(order.measure, session, row)) for row in rows], 1, note)
    write(order, failed)
    return Outcome(failed, session.signal, session.late)


def write(order: Benchmark, failed: dict[str, str]) -> None:
    """Write table.md, table.csv, figure.png and provenance.json into --out, and the section of RESULTS.md."""
    order.out.mkdir(parents=True, exist_ok=True)
    found = {row: order.found(row) for row in order.presets}
    save_bars(found, order.out / "figure.png")
    with (order.out / "table.csv").open("w", newline="") as file:
        keys = ("preset", "phase", "unit", "rate", "peak_memory_gb", "parameters", "device", "problem")
        writer = csv.writer(file)
        writer.writerow(["row", *keys])
        writer.writerows([label(row), *(each[key] for key in keys)] for row, parts in found.items() for each in parts)
    record = provenance() | {"commands": [" ".join(order.words(row, order.folder(row))) for row in order.presets]}
    write_whole(order.out / "provenance.json", json.dumps(record, indent=2) + "\n")
    title = f"Figure 3 of the S4WM paper: speed and memory (scale: {order.scale_name})"
    body = text(order, found, failed, record["hardware"])
    write_whole(order.out / "table.md", "\n".join([f"# {title}", "", *body, *_link(order.out, order.out)]))
    if order.results_md is not None:
        lines = [f"## {title}", "", *body, *_link(order.out, order.results_md.parent)]
        write_section(order.results_md, f"figure3 {order.scale_name}", "\n".join(lines))


def text(
    order: Benchmark, found: dict[str, list[dict[str, Any]]], failed: dict[str, str], machine: dict[str, Any]
) -> list[str]:
    """Return what stands below the heading."""
    done = sum(bool(parts) and not any(each["problem"] for each in parts) for parts in found.values())
    state = "**Complete**" if done == len(found) else "**Partial**"
    header = ["", "parameters", *(f"{phase}, {unit}, times RSSM, peak GB" for phase, unit in PHASES.items())]
    sizes = ", ".join(f"{name} {value}" for name, value in order.options.items())
    return [
        f"    {order.command}",
        "",
        f"{state}: {done} of {len(found)} models. New weights, random frames. Options: {sizes}.",
        f"{machine['processor']}{''.join(f', {gpu}' for gpu in machine['gpus'])}.",
        "",
        _row(header),
        _row(["---", *["---:"] * (len(header) - 1)]),
        *(_row([label(row), *_columns(parts, found.get(FAMILIES[0], []))]) for row, parts in found.items()),
        "",
        *(f"* {row} failed: {why}" for row, why in failed.items()),
        f"The paper, on an RTX A6000: {' '.join(SPEED)}",
        "",
    ]


def _columns(parts: Sequence[dict[str, Any]], base: Sequence[dict[str, Any]]) -> list[str]:
    """Return the cells of a row: its size, and of each phase rate, ratio and memory."""
    if not parts:
        return [NONE] * (1 + len(PHASES))
    rates = {each["phase"]: each["rate"] for each in base}
    cells = [f"{parts[0]['parameters'] / 1e6:.1f} M"]
    for phase in PHASES:
        each = next((part for part in parts if part["phase"] == phase and part["rate"]), None)
        if each is None:
            cells.append(NONE)
            continue
        times = f"{each['rate'] / rates[phase]:.2f}x" if rates.get(phase) else NONE
        cells.append(f"{number(each['rate'])}, {times}, {number(each['peak_memory_gb'])}")
    return cells


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _link(out: Path, folder: Path) -> list[str]:
    path = out / "figure.png"
    return [f"![Speed]({os.path.relpath(path, folder)})\n"] if path.exists() else []


def save_bars(found: dict[str, list[dict[str, Any]]], path: Path) -> None:
    """Draw the rates of both phases; without figures there is no picture."""
    if not any(found.values()):
        return
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(11, 3), layout="constrained")
        for axes, (phase, unit) in zip(figure.subplots(1, 2), PHASES.items(), strict=True):
            rates = {label(row): each["rate"] or 0.0 for row, parts in found.items() for each in parts
                     if each["phase"] == phase}  # fmt: skip
            axes.bar_label(axes.barh(list(rates), list(rates.values()), 0.6), [number(rate) for rate in rates.values()])
            axes.set(title=phase, xlabel=unit)
            axes.invert_yaxis()
        figure.savefig(path)
