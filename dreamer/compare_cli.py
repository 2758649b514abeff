"""`longdream curves`: online runs side by side."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import tyro

from ..worldmodels.leave import fail
from .compare import grouped, markdown, read_run, where_from
from .compare_picture import save_curves, save_span

CURVES, SPAN, TABLE = "curves.png", "span.png", "table.md"


@dataclass(frozen=True)
class CompareArguments:
    """Compare runs of train_dreamer.py: runs that differ by their seed alone are averaged, models stand side by side,
    and so do runs of a model whose settings differ in what is learned, such as --batch-length.

        longdream curves runs/cartpole/*
        longdream curves runs/memory/* --out docs/memory

    Runs may still be going on. Written into OUT: table.md (the last evaluation of each, mean ± standard deviation over
    the seeds, and what chance earned before training began), curves.png (evaluations over environment steps), and,
    where the runs differ in one number of their environment, such as memory_len's length, span.png (the last
    evaluation against it).
    """

    runs: tyro.conf.Positional[tuple[Path, ...]]  # run folders
    out: Path = Path("curves")  # the folder for table and pictures


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command: exit status 0, or 2 where a folder holds no run that can be compared."""
    asked = tyro.cli(CompareArguments, prog="longdream curves", args=arguments)
    try:
        written = compare(asked)
    except (ValueError, OSError) as error:
        sys.exit(fail("curves", str(error), 2))
    print("\n".join(map(str, written)))


def compare(asked: CompareArguments) -> list[Path]:
    """Write table and pictures, print the table; return the files.

    Raises:
        ValueError: there is no run, or a folder holds none.
    """
    if not asked.runs:
        raise ValueError("name the runs: longdream curves runs/cartpole/*")
    groups = grouped([read_run(folder) for folder in asked.runs])
    command = f"longdream curves {_named(asked.runs)} --out {shlex.quote(str(asked.out))}"
    asked.out.mkdir(parents=True, exist_ok=True)
    table = markdown(groups)
    pictures = [asked.out / CURVES]
    save_curves(groups, pictures[0])
    if save_span(groups, asked.out / SPAN):
        pictures.append(asked.out / SPAN)
    links = [f"![{picture.stem}]({picture.name})" for picture in pictures]
    (asked.out / TABLE).write_text("\n".join([f"    {command}", "", where_from(groups), "", *table, "", *links, ""]))
    print("\n".join(table))
    return [asked.out / TABLE, *pictures]


def _named(runs: Sequence[Path]) -> str:
    """Return the runs as one would type them: a folder's whole content as a pattern."""
    parent = runs[0].parent
    if len(runs) > 1 and {path for path in parent.iterdir() if path.is_dir()} == set(runs):
        return f"{shlex.quote(str(parent))}/*"
    return shlex.join(map(str, runs))
