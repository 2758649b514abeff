"""`longdream inspect` and `longdream verify`: what is in a data set, and whether it is whole."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import tyro
from tqdm import tqdm

from .contact_sheet import draw_contact_sheet
from .files import DatasetError
from .inspect import describe
from .reader import EpisodeDataset
from .verify import verify


@dataclass(frozen=True)
class InspectArguments:
    """Say what is in a data set, and draw a contact sheet: a few episodes, frames along the time axis.

    longdream inspect data/dm
    longdream inspect data/dm --episodes 8 --out sheet.png
    """

    dataset: tyro.conf.Positional[Path]
    """Folder of the data set."""
    out: Path | None = None
    """The picture. Default: inspect.png in the data set's folder."""
    episodes: int = 4
    """How many episodes the picture shows; 0 for no picture."""


@dataclass(frozen=True)
class VerifyArguments:
    """Check every file of a data set, and everything that it decodes to. Exit code 1 if anything is wrong.

    longdream verify data/dm
    """

    dataset: tyro.conf.Positional[Path]
    """Folder of the data set."""


def inspect_main() -> None:
    """Run `longdream inspect`."""
    arguments = tyro.cli(InspectArguments, prog=_program("inspect"))
    _one_line_errors("inspect", lambda: _inspect(arguments))


def verify_main() -> None:
    """Run `longdream verify`."""
    arguments = tyro.cli(VerifyArguments, prog=_program("verify"))
    _one_line_errors("verify", lambda: _verify(arguments.dataset))


def _inspect(arguments: InspectArguments) -> None:
    if arguments.episodes < 0:
        raise ValueError(f"--episodes {arguments.episodes}: 0 or more")
    dataset = EpisodeDataset(arguments.dataset)
    print(describe(dataset))
    shown = dataset.indices[: arguments.episodes]
    if len(shown) == 0:
        return
    out = arguments.out or arguments.dataset / "inspect.png"
    try:
        draw_contact_sheet(dataset, shown, out)
    except OSError as error:
        raise ValueError(f"cannot write {out} ({error.strerror or error}): choose another place with --out") from None
    print(f"{'contact sheet':<20} {out}")


def _verify(root: Path) -> None:
    with tqdm(unit="shard", desc="verify", disable=None) as bar:

        def progress(done: int, total: int) -> None:
            bar.total = total
            bar.update(done - bar.n)

        problems = verify(root, progress)
    for problem in problems:
        print(problem, file=sys.stderr)
    if problems:
        print(
            f"verify: {len(problems)} things are wrong. Run the `collect` command that made {root} again: "
            "it sets damaged shards aside and makes them anew.",
            file=sys.stderr,
        )
        raise SystemExit(1)
    dataset = EpisodeDataset(root)
    print(f"{root}: {len(dataset):,} episodes, {int(dataset.lengths.sum()):,} steps, all as they were written")


def _program(verb: str) -> str:
    return f"longdream {verb}"


def _one_line_errors(verb: str, run: Callable[[], None]) -> None:
    """Turn a user's mistake, or a damaged data set, into one line and an exit code."""
    try:
        run()
    except DatasetError as error:
        print(f"{verb}: {error}", file=sys.stderr)
        raise SystemExit(1) from None
    except (ValueError, OSError) as error:
        print(f"{verb}: {error}", file=sys.stderr)
        raise SystemExit(2) from None
    except KeyboardInterrupt:
        raise SystemExit(130) from None
