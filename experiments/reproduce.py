"""`longdream reproduce`: a table of the S4WM paper beside our own figures, at a scale that fits the machine."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import tyro

from ..eval.findings import number, percent
from ..worldmodels.run_folder import lock
from . import estimate
from .described import is_there
from .plan import SweepConfig
from .scales import Choice, Scale, benchmark_options, plan, read_scale
from .schedule import Deadline
from .speed import Benchmark, benchmark
from .sweep import Outcome, Sweep
from .table_files import Order, state, write_table
from .tables import FAMILIES, SPEED
from .watch import say

TableName = Literal["table1", "table2", "table3", "table4", "table5", "table6", "figure3", "figure6"]
RUNS, RESULTS = Path("runs/reproduce"), Path("results")


@dataclass(frozen=True)
class ReproduceArguments:
    """Make a table of the S4WM paper: collect the data, train every model, measure, and put ours beside the paper's.

    tables and figures:
      table1   long-term imagination in Two, Four and Ten Rooms
      table2   reward prediction on Distracting Memory
      table3   memory-based reasoning on Multi Doors Keys
      table4   S4WM against its Full-Posterior and No-MLP variants
      table5   TSSM-XL with caches of 128, 256 and 512 steps
      table6   offline probing of Memory Maze
      figure3  speed and memory in training and imagination
      figure6  context-dependent recall after a teleport

    Stop it when you like: by Ctrl-C, kill -9, or --budget-minutes. The same command goes on where it was and loses at
    most the steps since the last checkpoint. Models advance together: all of a seed are trained to the first share of
    their steps and measured before any goes on to the next, so that a partial table is a fair one; it says how partial.
    Look before you start (--dry-run): at the paper's scale a run takes days.

    Written into --out: table.md, table.csv (every figure, every seed), figure.png, provenance.json (commit, machine,
    commands); with --results-md also a section of that file, replaced when it is written again.

    Scales are files, configs/reproduce/{tiny,small,paper}.yaml; --scale my.yaml takes one of yours. Runs of a scale are
    shared: S4WM on Four Rooms is trained once for tables 1 and 4.

    examples:
      longdream reproduce table2 --scale tiny --budget-minutes 90
      longdream reproduce table1 --scale paper --dry-run
      longdream reproduce table1 --scale paper --data-sets four_rooms --models s4wm --precision bf16
      longdream reproduce table3 --scale small --results-md RESULTS.md
    """

    table: tyro.conf.Positional[TableName]
    scale: str = "tiny"  # tiny, small, paper, or a file
    budget_minutes: float | None = None  # of this call, after which it stops and writes what is there; by default none
    out: Path | None = None  # of the table; by default results/TABLE-SCALE
    results_md: Path | None = None  # a Markdown file that gets the table as a section
    dry_run: bool = False  # print the plan, its time and its disk, and do nothing
    models: tuple[str, ...] = ()  # of the table's rows; by default all
    data_sets: tuple[str, ...] = ()  # of the table's; by default all
    seeds: tuple[int, ...] = ()  # by default the scale's
    parallel: int | None = None  # runs at once, the cores shared out; by default the scale's
    processes: int = 1  # of each training, one a GPU, through Accelerate
    device: Literal["auto", "cpu", "cuda"] = "auto"  # auto: a GPU where there is one
    precision: Literal["no", "bf16"] = "no"  # of training; bf16: autocast
    data: Path = Path("data")  # folder of the data sets; those that are missing are collected
    runs: Path | None = None  # folder of the runs; by default runs/reproduce/SCALE


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command: exit status 0 (also where the time is over), 1 where a run failed, 2 for a user's mistake."""
    try:
        wished = tyro.cli(ReproduceArguments, prog="longdream reproduce", args=arguments)
        sys.exit(run(wished, shlex.join(["longdream", "reproduce", *(arguments or sys.argv[1:])])))
    except (ValueError, OSError) as error:
        print(f"reproduce: {' '.join(str(error).split())}", file=sys.stderr)
        sys.exit(2)


def run(wished: ReproduceArguments, command: str) -> int:
    """Do what is left of a table, and write it; return the exit status.

    Raises:
        ValueError: there is no such scale, or it does not have what is asked for; or another works in the runs' folder.
    """
    check(wished)
    deadline, scale = Deadline(wished.budget_minutes), read_scale(wished.scale)
    name = Path(wished.scale).stem
    out, runs = wished.out or RESULTS / f"{wished.table}-{name}", wished.runs or RUNS / name
    if wished.table == SPEED:
        return _speed(wished, scale, out, runs, command, deadline)
    config = plan(scale, wished.table, _choice(wished, runs))
    if wished.dry_run:
        say(preview(config, scale, wished.budget_minutes))
        return 0
    order = Order(wished.table, name, scale, config, out, command, wished.results_md)
    runs.mkdir(parents=True, exist_ok=True)
    with lock(runs):
        say(preview(config, scale, wished.budget_minutes))
        outcome = Sweep(config, deadline).run()
        say(f"{state(write_table(order))}\n{out / 'table.md'}")
    return status(outcome)


def check(wished: ReproduceArguments) -> None:
    """Raise ValueError where a number is none to work with."""
    if wished.budget_minutes is not None and wished.budget_minutes <= 0:
        raise ValueError(f"--budget-minutes {wished.budget_minutes:g}: above 0, or leave it out")
    if wished.parallel is not None and wished.parallel < 1:
        raise ValueError(f"--parallel {wished.parallel}: 1 or more")


def _choice(wished: ReproduceArguments, runs: Path) -> Choice:
    return Choice(
        runs=runs,
        data=wished.data,
        seeds=wished.seeds or None,
        parallel=wished.parallel,
        processes=wished.processes,
        models=wished.models,
        data_sets=wished.data_sets,
        device=wished.device,
        precision=wished.precision,
    )


def _speed(wished: ReproduceArguments, scale: Scale, out: Path, runs: Path, command: str, deadline: Deadline) -> int:
    """Make the figure of speed."""
    presets = {row: scale.models[row]["model"] for row in wished.models or FAMILIES}
    device = {} if wished.device == "auto" else {"device": wished.device}
    options = benchmark_options(scale) | device
    order = Benchmark(presets, options, runs, out, Path(wished.scale).stem, command, wished.results_md)
    if wished.dry_run:
        say("\n".join(shlex.join(order.words(row, order.folder(row))) for row in presets))
        return 0
    runs.mkdir(parents=True, exist_ok=True)
    with lock(runs):
        outcome = benchmark(order, deadline)
    say(f"{out / 'table.md'}")
    return status(outcome)


def status(outcome: Outcome) -> int:
    """Return the exit status of what came to an end, or was stopped."""
    if outcome.signal:
        return 128 + outcome.signal
    return 1 if outcome.failed else 0


def preview(config: SweepConfig, scale: Scale, budget: float | None) -> str:
    """Return the plan: every run with what is left of it, the time and the disk."""
    costs = estimate.costs(config, scale.speed)
    width = max(len(cost.run.name) for cost in costs)
    text = [f"{scale.about}; {config.parallel} runs at once, {config.threads} threads each, in {config.out}"]
    for name, data in config.data.items():
        there = "there" if is_there(data) else "to be collected"
        text.append(f"  data {name}: {data.path}, {data.collect['n']:,} episodes, {there}")
    for cost in costs:
        source = "as fast as so far" if cost.measured_speed else "the scale's speed"
        left = _hours(None if cost.seconds is None else cost.seconds / 3600)
        text.append(
            f"  {cost.run.name:<{width}}  {cost.steps:>9,} steps of {cost.frames:,} frames left: {left} ({source})"
        )
    total, space = estimate.hours(costs, config.parallel), estimate.disk(config)
    rounds = ", ".join(f"{share:.3g}" for share in config.rounds)
    text += [
        f"a seed after the other; measured at shares {rounds} of the steps, all models at one before any goes on",
        f"all of it: {_hours(total)}{_against(budget, total)}; the scale's speed is of {scale.speed.machine}",
        f"disk: {_bytes(space.data)} of data, at most {_bytes(space.runs)} of checkpoints"
        + (f", {_bytes(space.features)} while models are probed" if space.features else ""),
    ]
    return "\n".join(text)


def _against(budget: float | None, total: float | None) -> str:
    if budget is None or total is None or total * 60 <= budget:
        return ""
    return f", of which this call's {budget:g} min are {percent(budget / 60 / total)}"


def _hours(hours: float | None) -> str:
    if hours is None:
        return "time not known before its first steps"
    if hours < 2:
        return f"about {60 * hours:.0f} min"
    return f"about {number(hours)} hours" if hours < 72 else f"about {number(hours / 24)} days"


def _bytes(count: float) -> str:
    return f"{number(count / 1e9)} GB"


if __name__ == "__main__":
    main()
