"""The outcome of a sweep: summary.md, summary.csv and generation.png, made from the runs' own results.json."""

from __future__ import annotations

import csv
import math
from collections.abc import Sequence
from statistics import mean
from typing import NamedTuple

from ..eval.findings import number, percent
from ..eval.table import NONE
from ..provenance import commit, hardware
from .curves import Panel, save_panels
from .plan import Run, SweepConfig
from .progress import evaluated, timed_step
from .results import Result, result

STEPS, TIME = "equal steps", "equal time"
HEADER = (
    "data",
    "model",
    "parameters",
    "seeds",
    "steps",
    "minutes",
    "frames/s",
    "generation MSE",
    "of each seed",
    "reconstruction MSE",
    "reward seen",
    "reward imagined",
    "copy last MSE",
    "mean frame MSE",
    "majority class",
)
SHARES = ("reward seen", "reward imagined", "majority class")  # in [0, 1]


class Row(NamedTuple):
    """One model on one data set; every seed that is there."""

    data: str
    model: str
    seeds: int  # how many there shall be
    results: list[Result]


def write_summary(config: SweepConfig) -> None:
    """Write the three files, of what is there by now, into the sweep's folder."""
    stages = {stage: rows(config, stage) for stage in ([STEPS] if config.minutes is None else [STEPS, TIME])}
    (config.out / "summary.md").write_text(markdown(config, stages))
    with (config.out / "summary.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["comparison", *HEADER])
        writer.writerows([stage, *values(row)] for stage, found in stages.items() for row in found)
    panels = [panel(data, stage, found) for stage, found in stages.items() for data in config.data]
    save_panels([shown for shown in panels if shown.curves], config.out / "generation.png")


def rows(config: SweepConfig, stage: str) -> list[Row]:
    """Return every model on every data set, those without results as well."""
    runs = config.runs()
    return [
        Row(
            data,
            model,
            len(config.seeds),
            [
                result(run, step)
                for run in runs
                if (run.data, run.model) == (data, model) and (step := _step(config, run, stage)) is not None
            ],
        )
        for data in config.data
        for model in config.models
    ]


def _step(config: SweepConfig, run: Run, stage: str) -> int | None:
    """Return the step at which a run was evaluated for a comparison; None: it was not."""
    if stage == TIME:
        return timed_step(config, run)
    steps = config.steps_of(run)
    return steps if evaluated(config, run, steps) else None


def values(row: Row) -> list[str | int | float]:
    """Return the cells of a row, in the order of `HEADER`, as numbers; empty where there is nothing."""
    found = row.results
    if not found:
        return [row.data, row.model, "", f"0 of {row.seeds}", *[""] * (len(HEADER) - 4)]
    errors, reward = ([r.measured[part] for r in found] for part in ("errors", "reward"))
    return [
        row.data,
        row.model,
        found[0].parameters,
        f"{len(found)} of {row.seeds}",
        round(mean(r.step for r in found)),
        mean(r.minutes for r in found),
        mean(r.frames_per_second for r in found),
        mean(r.mse("generation") for r in found),
        " ".join(f"{r.mse('generation'):.4g}" for r in found),
        _mean([e["reconstruction"]["mse_from_second_step"] for e in errors]),
        _mean([r["inference"]["accuracy"] for r in reward]),
        _mean([r["imagination"]["accuracy"] for r in reward]),
        mean(r.mse("copy_last") for r in found),
        mean(r.mse("mean_context") for r in found),
        _mean([r["majority_class"] for r in reward]),
    ]


def _mean(found: Sequence[float | None]) -> float:
    """Return the mean over the seeds; not a number where a seed has none."""
    known = [value for value in found if value is not None]
    return mean(known) if len(known) == len(found) else math.nan


def markdown(config: SweepConfig, stages: dict[str, list[Row]]) -> str:
    """Return the text of summary.md."""
    machine = hardware()
    gpus = "".join(f", {gpu}" for gpu in machine["gpus"])
    lines = [
        f"# {config.out.name}",
        "",
        f"Commit {commit()}; {machine['processor']}{gpus}; {config.parallel} runs at once, {config.threads} threads",
        "each. Every run's best checkpoint by validation loss; means over the seeds that are there. Squared errors are",
        "summed over the pixels of a frame in [0, 1]; minutes and frames/s are of training, without validation and",
        "saving. Copy last, mean frame and majority class are floors: they remember nothing.",
    ]
    for stage, found in stages.items():
        for data in config.data:
            lines += ["", f"## {data}, {stage}", "", *_table([row for row in found if row.data == data])]
    return "\n".join([*lines, "", "![Generation MSE at each imagined step](generation.png)", ""])


def _table(found: list[Row]) -> list[str]:
    """Return the lines of a Markdown table."""
    header = HEADER[1:]
    cells = [map(_text, header, values(row)[1:]) for row in found]
    return [f"| {' | '.join(line)} |" for line in (header, ["---", *["---:"] * (len(header) - 1)], *cells)]


def _text(column: str, value: str | int | float) -> str:
    """Return a cell of the table."""
    if value == "" or (isinstance(value, float) and math.isnan(value)):
        return NONE
    if isinstance(value, str):
        return value
    if column in SHARES:
        return percent(value)
    return f"{value:,}" if isinstance(value, int) else number(value)


def panel(data: str, stage: str, found: list[Row]) -> Panel:
    """Return the curves of one data set: each model's generation error per imagined step, mean over its seeds."""
    mine = [row for row in found if row.data == data and row.results]
    curves = {row.model: _curve(row.results, "generation") for row in mine}
    floors = {name: _curve(mine[0].results, name) for name in ("copy_last", "mean_context")} if mine else {}
    return Panel(f"{data}, {stage}", curves, floors)


def _curve(results: list[Result], what: str) -> list[float]:
    curves = [r.measured["errors"][what]["per_step"] for r in results]
    return [mean(steps) for steps in zip(*curves, strict=True)]
