"""`longdream reproduce`: a table of the S4WM paper beside our own figures, at a scale that fits the machine."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal, NamedTuple

import torch
import tyro

from ..worldmodels.leave import fail
from ..worldmodels.run_folder import lock
from .begun import check_begun
from .marked import check_section
from .preview import preview
from .scales import Choice, Scale, benchmark_options, chosen, plan, read_scale, table_of
from .schedule import Deadline
from .speed import Benchmark, benchmark
from .standing import standings
from .sweep import Outcome, Sweep
from .table_files import Order, state, write_table
from .tables import FAMILIES, SPEED
from .trial import trial
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

    --models, --data-sets and --seeds choose what is worked on; the table has all rows of the scale, also those that
    nobody has worked on yet.

    Scales are files, configs/reproduce/{tiny,small,paper}.yaml; --scale my.yaml takes one of yours. Runs of a scale are
    shared: S4WM on Four Rooms is trained once for tables 1 and 4.

    examples:
      longdream reproduce table2 --scale tiny --budget-minutes 90
      longdream reproduce table1 --scale paper --dry-run
      longdream reproduce table1 --scale paper --data-sets four_rooms --models s4wm --precision bf16
      longdream reproduce table3 --scale small --results-md RESULTS.md
      longdream reproduce table2 --scale paper --data-sets dm100 --steps 3   # a trial: does it work here?
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
    steps: int | None = None  # a trial: so many of every run, one seed, in folders of its own; the table says so
    parallel: int | None = None  # runs at once, the cores shared out; by default the scale's
    processes: int = 1  # of each training, one a GPU, through Accelerate
    device: Literal["auto", "cpu", "cuda"] = "auto"  # auto: a GPU where there is one
    precision: Literal["no", "bf16"] = "no"  # of training; bf16: autocast
    micro_batch: int = 0  # rows that a process trains on at once, at most, where memory is short; 0: all it has
    data: Path = Path("data")  # folder of the data sets; those that are missing are collected
    runs: Path | None = None  # folder of the runs; by default runs/reproduce/SCALE


class NamedScale(NamedTuple):
    """A scale, and what its folders are called."""

    scale: Scale
    name: str


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command: exit status 0 (also where the time is over), 1 where a run failed, 2 for a user's mistake."""
    try:
        wished = tyro.cli(ReproduceArguments, prog="longdream reproduce", args=arguments)
        sys.exit(run(wished, shlex.join(["longdream", "reproduce", *(arguments or sys.argv[1:])])))
    except (ValueError, OSError) as error:
        sys.exit(fail("reproduce", str(error), 2))
    except KeyboardInterrupt:  # while no run is at work
        sys.exit(fail("reproduce", "stopped; the same command goes on from here", 130))


def run(wished: ReproduceArguments, command: str) -> int:
    """Do what is left of a table, and write it; return the exit status.

    Raises:
        ValueError: there is no such scale, or it does not have what is asked for; runs are there of another plan; or
            another works in the runs' folder.
    """
    deadline = Deadline(wished.budget_minutes)
    scale, name = _scale(wished)
    check(wished, name)
    out, runs = wished.out or RESULTS / f"{wished.table}-{name}", wished.runs or RUNS / name
    if wished.table == SPEED:
        return _speed(wished, scale, name, out, runs, command, deadline)
    choice = _choice(wished, runs)
    config, order = plan(scale, wished.table, choice), _order(wished, scale, name, choice, out, command)
    check_begun(config)
    check_begun(order.config, ignored=["precision"])  # of rows that are not worked on now
    standings(order.config)  # a damaged file is better known now than after the work
    if wished.dry_run:
        say(preview(config, scale, wished.budget_minutes))
        return 0
    for folder in (runs, out):
        folder.mkdir(parents=True, exist_ok=True)
    with lock(runs):
        say(preview(config, scale, wished.budget_minutes))
        outcome = Sweep(config, deadline, partial(_tell, order)).run()
        say(f"{state(write_table(order))}\n{out / 'table.md'}")
    return status(outcome)


def _scale(wished: ReproduceArguments) -> NamedScale:
    """Return the scale that is asked for, or a trial of it."""
    scale, name = read_scale(wished.scale), Path(wished.scale).stem
    if wished.steps is None:
        return NamedScale(scale, name)
    return NamedScale(trial(scale, wished.steps), f"{name}-trial-{wished.steps}")


def _order(wished: ReproduceArguments, scale: Scale, name: str, choice: Choice, out: Path, command: str) -> Order:
    """Return what is to be written: all rows of the scale, whatever is worked on now."""
    seeds = {*table_of(scale, wished.table).seeds, *wished.seeds}
    whole = choice._replace(models=(), data_sets=(), seeds=tuple(sorted(seeds)), precision="no")
    return Order(wished.table, name, scale, plan(scale, wished.table, whole), out, command, wished.results_md)


def _tell(order: Order) -> None:
    """Write the table as it is by now; what keeps it from being written does not keep the runs from going on."""
    try:
        write_table(order)
    except (ValueError, OSError) as error:
        say(f"the table is not written: {error}")


def check(wished: ReproduceArguments, name: str) -> None:
    """Raise ValueError where a number is none to work with, there is no such device, or no such file can be written."""
    if wished.budget_minutes is not None and not wished.budget_minutes > 0:
        raise ValueError(f"--budget-minutes {wished.budget_minutes:g}: above 0, or leave it out")
    if wished.parallel is not None and wished.parallel < 1:
        raise ValueError(f"--parallel {wished.parallel}: 1 or more")
    if wished.micro_batch < 0:
        raise ValueError(f"--micro-batch {wished.micro_batch}: 0 or more")
    if wished.device == "cuda" and not torch.cuda.is_available():
        raise ValueError("--device cuda: this machine has no GPU that torch can use; take --device cpu")
    if wished.results_md is not None:
        check_section(wished.results_md, f"{wished.table} {name}")


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
        micro_batch=wished.micro_batch,
    )


def _speed(
    wished: ReproduceArguments, scale: Scale, name: str, out: Path, runs: Path, command: str, deadline: Deadline
) -> int:
    """Make the figure of speed.

    Raises:
        ValueError: something is chosen that the figure does not have.
    """
    for flag, value in (("--data-sets", wished.data_sets), ("--seeds", wished.seeds), ("--parallel", wished.parallel)):
        if value:
            raise ValueError(f"{flag}: {SPEED} has none, new models are measured one after the other; leave it out")
    rows = chosen("--models", wished.models, FAMILIES, scale.models)
    presets = {row: scale.models[row]["model"] for row in FAMILIES}
    device = {} if wished.device == "auto" else {"device": wished.device}
    options = benchmark_options(scale) | device
    order = Benchmark(presets, options, runs, out, name, command, wished.results_md)
    if wished.dry_run:
        say("\n".join(shlex.join(order.words(row, order.folder(row))) for row in rows))
        return 0
    for folder in (runs, out):
        folder.mkdir(parents=True, exist_ok=True)
    with lock(runs):
        outcome = benchmark(order, rows, deadline)
    say(f"{out / 'table.md'}")
    return status(outcome)


def status(outcome: Outcome) -> int:
    """Return the exit status of what came to an end, or was stopped."""
    if outcome.signal:
        return 128 + outcome.signal
    return 1 if outcome.failed else 0


if __name__ == "__main__":
    main()
