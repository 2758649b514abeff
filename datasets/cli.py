"""`longdream inspect`, `browse`, `verify` and `index`: what is in a data set, and whether it is whole."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Annotated

import tyro

from .bar import progress_bar
from .browse import even_sample, write_page
from .contact_sheet import draw_contact_sheet
from .files import DatasetError
from .folder import Folder, LocalFolder, open_folder
from .info import DatasetInfo
from .inspect import describe
from .reader import EpisodeDataset
from .tar_index import TARS
from .tar_scan import index_tars
from .verify import verify


@dataclass(frozen=True)
class InspectArguments:
    """Say what is in a data set, and draw a contact sheet: a few episodes, frames along the time axis.

    longdream inspect data/dm
    longdream inspect data/dm --episodes 8 --out sheet.png
    """

    dataset: tyro.conf.Positional[str]
    """Folder of the data set, or its URL: s3://bucket/folder."""
    out: Path | None = None
    """The picture. Default: inspect.png in the data set's folder; NAME-inspect.png here if that is a URL."""
    episodes: int = 4
    """How many episodes the picture shows; 0 for no picture."""


@dataclass(frozen=True)
class VerifyArguments:
    """Check every file of a data set, and everything that it decodes to. Exit code 1 if anything is wrong.

    longdream verify data/dm
    """

    dataset: tyro.conf.Positional[str]
    """Folder of the data set, or its URL: s3://bucket/folder."""
    workers: Annotated[int | None, tyro.conf.arg(metavar="INT", help_behavior_hint="(default: usable cores)")] = None
    """Shards, or tars, checked side by side."""


@dataclass(frozen=True)
class IndexArguments:
    """Make the index (tars.json) of a folder of webdataset tars, with which it is a data set like any other.

    `longdream convert --to webdataset` writes one itself; tars that were packed anew need another. Beside them must be
    the dataset.json of the data set that they hold, all of it: samples of <episode>.<array>.npy members.

    longdream index tars
    """

    folder: tyro.conf.Positional[Path]
    """Where the tars are."""


@dataclass(frozen=True)
class BrowseArguments:
    """Write a page to look at episodes with: frames, a map with the path, rewards, phases. It opens from disk.

    longdream browse data/dm
    longdream browse data/dm --episodes 3 17 40 --out episodes.html
    """

    dataset: tyro.conf.Positional[str]
    """Folder of the data set, or its URL: s3://bucket/folder."""
    episodes: tuple[int, ...] = ()
    """Which episodes. Default: an even sample of 24."""
    out: Path | None = None
    """The page. Default: browse.html in the data set's folder; NAME-browse.html here if that is a URL."""
    max_mb: float = 100.0
    """Episodes that the page would be larger with are left out."""


def inspect_main() -> None:
    """Run `longdream inspect`."""
    arguments = tyro.cli(InspectArguments, prog=_program("inspect"))
    _one_line_errors("inspect", lambda: _inspect(arguments))


def verify_main() -> None:
    """Run `longdream verify`."""
    arguments = tyro.cli(VerifyArguments, prog=_program("verify"))
    _one_line_errors("verify", lambda: _verify(arguments))


def index_main() -> None:
    """Run `longdream index`."""
    arguments = tyro.cli(IndexArguments, prog=_program("index"))
    _one_line_errors("index", lambda: _index(arguments.folder))


def browse_main() -> None:
    """Run `longdream browse`."""
    arguments = tyro.cli(BrowseArguments, prog=_program("browse"))
    _one_line_errors("browse", lambda: _browse(arguments))


def _inspect(arguments: InspectArguments) -> None:
    if arguments.episodes < 0:
        raise ValueError(f"--episodes {arguments.episodes}: 0 or more")
    dataset = EpisodeDataset(arguments.dataset)
    with Bar("inspect", "episode") as bar:
        text = describe(dataset, bar.show)
    print(text)
    shown = dataset.indices[: arguments.episodes]
    if len(shown) == 0:
        return
    out = arguments.out or _beside(dataset.folder, "inspect.png")
    try:
        draw_contact_sheet(dataset, shown, out)
    except OSError as error:
        raise ValueError(f"cannot write {out} ({error.strerror or error}): choose another place with --out") from None
    print(f"{'contact sheet':<20} {out}")


def _verify(arguments: VerifyArguments) -> None:
    root = arguments.dataset
    in_tars = open_folder(root).has(TARS)
    with Bar("verify", "tar" if in_tars else "shard") as bar:
        problems = verify(root, bar.show, arguments.workers)
    for problem in problems:
        print(problem, file=sys.stderr)
    if problems:
        things = "1 thing is wrong" if len(problems) == 1 else f"{len(problems)} things are wrong"
        again = f"Run the `collect` command that made {root} again: it sets damaged shards aside and makes them anew."
        advice = "Copy these tars again, or make the export again." if in_tars else again
        print(f"verify: {things}. {advice}", file=sys.stderr)
        raise SystemExit(1)
    dataset = EpisodeDataset(root)
    print(f"{root}: {len(dataset):,} episodes, {int(dataset.lengths.sum()):,} steps, all as they were written")


def _index(folder: Path) -> None:
    info = DatasetInfo.read(folder)
    with Bar("index", "tar") as bar:
        index_tars(folder, info, bar.show)
    print(f"{folder / TARS}: {info.episodes:,} episodes, checksums of the tars as they are now")


def _browse(arguments: BrowseArguments) -> None:
    dataset = EpisodeDataset(arguments.dataset)
    episodes = list(dict.fromkeys(arguments.episodes)) or even_sample(dataset.indices)
    if not episodes:
        raise ValueError(f"{arguments.dataset} holds no episodes yet: there is nothing to look at")
    out = arguments.out or _beside(dataset.folder, "browse.html")
    try:
        with Bar("browse", "episode") as bar:
            page = write_page(dataset, episodes, out, arguments.max_mb * 1e6, bar.show)
    except OSError as error:
        raise ValueError(f"cannot write {out} ({error.strerror or error}): choose another place with --out") from None
    print(f"{out}: {len(page.episodes):,} of {len(dataset):,} episodes, {page.bytes / 1e6:,.2f} MB")
    if page.left_out:
        left_out = ", ".join(map(str, page.left_out))
        print(f"left out, beyond --max-mb {arguments.max_mb:g}: episodes {left_out}")


def _beside(folder: Folder, file: str) -> Path:
    """Return where to write what is made of a data set: into its folder, or where one is if it is far away."""
    return folder.path / file if isinstance(folder, LocalFolder) else Path(f"{folder.name}-{file}")


class Bar:
    """Progress on stderr: a bar that a terminal shows once the work has taken half a second."""

    def __init__(self, what: str, unit: str) -> None:
        self._bar = progress_bar(desc=what, unit=unit, disable=None, delay=0.5, leave=False)

    def __enter__(self) -> Bar:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.close()

    def show(self, done: int, total: int) -> None:
        """Show that `done` of `total` are done."""
        self._bar.total = total
        self._bar.update(done - self._bar.n)


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
