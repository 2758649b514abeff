"""`longdream convert`: episodes from and to the formats of others."""

from __future__ import annotations

import dataclasses
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal, NoReturn

import tyro

from ..files import DatasetError
from ..folder import is_url
from ..progress import Bars
from ..splits import Splits
from .clock import Clock
from .npz import episode_files, names
from .source import Source, Wishes

Kind = Literal["longdream", "memory-maze", "dreamer", "h5", "minari"]
Goal = Literal["longdream", "webdataset", "h5", "minari", "gif", "mp4"]
PREVIEWS = 4  # episodes that are drawn if no number is given


def _shown(value: str, default: str) -> object:
    return tyro.conf.arg(metavar=value, help_behavior_hint=f"(default: {default})")


@dataclass(frozen=True)
class Arguments:
    """Bring episodes in from other formats, or take them away.

    From: a longdream data set, in shards or in tars; a folder of official Memory Maze npz files; a folder of Dreamer
    replay npz files; an HDF5 file in flat columns (ep_len, ep_offset, pixels, action, reward); a Minari data set of
    images. Which of these it is is seen by looking at it.

    To: longdream (a data set to train on), webdataset (tar shards for each split, frames uncompressed: a data set to
    train on, too), h5 (flat columns, as stable-worldmodel reads them), minari (frames lossless, uncompressed), gif or
    mp4 (to look at, 4 episodes).

    Everything that is written is read back and compared, and has its name only once it is whole. Into longdream a
    stopped conversion goes on with the same command; the others start again.

    examples:
      longdream convert downloads/memory_maze_9x9/train data/mm9 --to longdream
      longdream convert logdir/train_eps data/mine --to longdream --context 100
      longdream convert data/dm100 dm100.h5 --to h5 --clock taken-at
      longdream convert data/dm100 dm100-tars --to webdataset
      longdream convert data/dm100 ~/.minari/datasets/longdream/dm-v0 --to minari
      longdream convert data/dm100 look --to gif --episodes 10
      longdream convert data/dm100 s3://bucket/dm100 --to longdream
    """

    source: tyro.conf.Positional[str]
    """What to convert. A longdream data set may have a URL: s3://bucket/folder."""
    destination: tyro.conf.Positional[str]
    """What to make. It must not be there yet; a data set that was begun is gone on with. A longdream data set may have
    a URL."""
    to: Goal
    """The format to make."""
    of: Annotated[Kind | None, _shown("KIND", "seen by looking at it")] = None
    """The format of the source: longdream, memory-maze, dreamer, h5 or minari."""
    clock: Clock = "led-to"
    """Actions in Dreamer's npz and in HDF5: does row t hold the action that LED TO frame t (DreamerV1 and V2, Memory
    Maze, longdream), or the one TAKEN AT frame t (DreamerV3, stable-worldmodel)? HDF5 files of ours know it."""
    episodes: Annotated[int | None, _shown("INT", "all; 4 for gif and mp4")] = None
    """Convert only the first ones. More can be added to a data set later."""
    context: Annotated[int | None, _shown("INT", "half of the first episode; 500 for Memory Maze")] = None
    """For what is not ours: steps that a model is shown before it has to imagine the rest."""
    split: Annotated[str | None, _shown("A/B/C", "8/1/1; 28/1/1 for Memory Maze")] = None
    """For what is not ours: ratio train/validation/test."""
    per_shard: Annotated[int | None, _shown("INT", "what 200 MB hold, 8 to 128")] = None
    """For what is not ours: episodes of one shard."""


def main() -> None:
    """Run `longdream convert`; a user's mistake is one line and exit code 2, damaged data 1."""
    arguments = tyro.cli(Arguments, prog="longdream convert")
    try:
        with Bars("convert") as bars:
            _convert(arguments, bars)
    except KeyboardInterrupt:
        _fail("stopped; the same command goes on, or starts again if it was not --to longdream", 130)
    except DatasetError as error:
        _fail(str(error), 1)
    except (ValueError, OSError) as error:
        _fail(str(error), 2)
    print(f"{bars.summary()}{arguments.destination} is whole: what was written was read back and compared")


def _convert(arguments: Arguments, bars: Bars) -> None:
    from .columns import columns
    from .minari import MINARI
    from .part import export
    from .previews import export_previews
    from .stored import into_store
    from .tars import TARS

    source = _source(arguments)
    _take_first(source, arguments)
    if arguments.to == "longdream":
        into_store(source, arguments.destination, bars)
        return
    if is_url(arguments.destination):
        raise ValueError(f"{arguments.destination}: --to {arguments.to} writes to a disk; give a path")
    destination = Path(arguments.destination)
    if arguments.to == "webdataset":
        export(source, destination, TARS, bars)
    elif arguments.to == "h5":
        export(source, destination, columns(arguments.clock), bars)
    elif arguments.to == "minari":
        export(source, destination, MINARI, bars)
    else:
        export_previews(source, destination, arguments.to, bars)


def _source(arguments: Arguments) -> Source:
    """Open the source.

    Raises:
        ValueError: if it cannot be understood, or something is said of it that it says itself.
    """
    from .columns import Columns
    from .dreamer import DreamerFolder
    from .memory_maze import MemoryMazeFolder
    from .minari import MinariFolder
    from .stored import StoredEpisodes

    path, wishes = Path(arguments.source), _wishes(arguments)
    remote = is_url(arguments.source)
    kind = arguments.of or ("longdream" if remote else recognise(path))
    if remote and kind != "longdream":
        raise ValueError(f"{arguments.source}: {kind} is read from a disk; download it first")
    if kind == "memory-maze":
        return MemoryMazeFolder(path, wishes)
    if kind == "dreamer":
        return DreamerFolder(path, wishes, arguments.clock)
    if kind == "h5":
        return Columns(path, wishes, arguments.clock)
    if kind == "minari":
        return MinariFolder(path, wishes)
    if wishes != Wishes():
        raise ValueError(f"{arguments.source} is a data set: it says itself what its context, splits and shards are")
    return StoredEpisodes(arguments.source)


def recognise(path: Path) -> Kind:
    """Say what a source is, by looking at it.

    Raises:
        ValueError: if it is nothing that can be converted.
    """
    if not path.exists():
        raise ValueError(f"{path} is not there")
    if path.is_file():
        if path.suffix in (".h5", ".hdf5"):
            return "h5"
        raise ValueError(f"{path} is a file, but no .h5 or .hdf5: say what it is with --of")
    if (path / "dataset.json").exists():
        return "longdream"
    if (path / "data" / "metadata.json").exists():
        return "minari"
    return "memory-maze" if "maze_layout" in names(episode_files(path)[0]) else "dreamer"


def _wishes(arguments: Arguments) -> Wishes:
    splits = None if arguments.split is None else Splits.from_text(arguments.split)
    return Wishes(arguments.context, splits, arguments.per_shard)


def _take_first(source: Source, arguments: Arguments) -> None:
    """Leave only the first episodes to convert."""
    there = source.info.episodes
    wanted = arguments.episodes
    if wanted is None:
        wanted = min(PREVIEWS, there) if arguments.to in ("gif", "mp4") else there
    if not 1 <= wanted <= there:
        raise ValueError(f"--episodes {wanted}: {arguments.source} holds {there}")
    source.info = dataclasses.replace(source.info, episodes=wanted)


def _fail(text: str, code: int) -> NoReturn:
    print(f"convert: {text}", file=sys.stderr)
    raise SystemExit(code)
