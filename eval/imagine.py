"""The command `longdream imagine`: films of what world models imagine, beside what happened."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal, get_args

import numpy as np
import torch
import tyro

from ..datasets.bar import progress_bar
from ..datasets.convert.previews import require_av, write_gif, write_mp4
from ..datasets.episode import VECTOR
from ..datasets.files import DatasetError
from ..datasets.reader import EpisodeDataset
from ..worldmodels.checkpoint import find, load_model
from . import screen
from .cli import check_fit, chosen_device
from .curves import save_vectors
from .evaluation import PICTURED_CONTEXT, Picture, pictured_steps
from .examined import names
from .film import Film, take, unfilmed
from .losses import run_folder
from .stills import save_frames
from .trials import layout

Format = Literal["gif", "mp4", "png"]
HELD = 20  # times that a film's last picture is repeated before it starts again: a second


def _shown(value: str, default: str) -> object:
    return tyro.conf.arg(metavar=value, help_behavior_hint=f"(default: {default})")


@dataclass(frozen=True)
class ImagineArguments:
    """Watch what a world model imagines: a film of truth, imagination and error, side by side.

    The model sees the context of the episode and imagines the query from its actions alone; the frames are those that
    `evaluate` measures with the same seed. Several checkpoints stand beside each other in one film. Also in the
    picture: the phase and the step, the reward that came and the one that the model expects, the squared error, and
    the last frame that was seen, which is what copying would show.

    examples:
      longdream imagine --checkpoint runs/first --data data/dm100 --episode 8
      longdream imagine --checkpoint runs/s4wm runs/rssm --data data/dm100 --episode 8 18 28 --format mp4
      longdream imagine --checkpoint runs/first --data data/dm100 --episode 8 --out docs/first.gif
    """

    checkpoint: tuple[Path, ...]
    """Runs' folders (their best checkpoints are taken) or checkpoints' folders."""
    data: str
    """A data set, from `collect`: its folder, or its URL."""
    episode: tuple[int, ...]
    """Which episodes, by their number in the data set; `longdream browse` shows them."""
    out: Annotated[Path | None, _shown("PATH", "the first run's folder / imagination")] = None
    """A file (.gif, .mp4, .png) for one episode, or a folder. Files there are replaced."""
    format: Annotated[Format | None, _shown("{gif,mp4,png}", "that of OUT's name, or gif")] = None
    """A film (mp4 needs the extra `video`), or, as png, a few frames of it. Vectors are png: their curves."""
    seen: int = 40
    """Steps of the context that a film begins with, its last ones."""
    seed: int = 0
    """Of the models' draws."""
    device: str = "auto"
    """auto (a GPU where there is one), cpu, cuda, cuda:1."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command; a user's mistake is one line on stderr and exit code 2, Ctrl-C 130."""
    wished = tyro.cli(ImagineArguments, prog="longdream imagine", args=arguments)
    try:
        run(wished)
    except torch.OutOfMemoryError:
        fail("the GPU's memory is too small for this episode; give --device cpu", 2)
    except KeyboardInterrupt:
        fail("stopped; films that were finished are there", 130)
    except DatasetError as error:
        fail(str(error), 1)
    except (ValueError, OSError) as error:
        fail(str(error), 2)


def fail(message: str, code: int) -> None:
    """Say what is wrong in one line, and leave."""
    print(f"imagine: {' '.join(message.split())}", file=sys.stderr)
    raise SystemExit(code)


def run(wished: ImagineArguments) -> list[Path]:
    """Write the films that are wished for; return their files.

    Raises:
        ValueError: a checkpoint, the data, an episode or a number does not fit, or the format cannot be written.
    """
    kind, files = destinations(wished)
    folders = [find(path) for path in wished.checkpoint]
    source, device = EpisodeDataset(wished.data), chosen_device(wished.device)
    if source.info.observation.name == VECTOR and kind != "png":
        raise ValueError(f"{wished.data} holds vectors, which are drawn as curves: give --format png")
    films = {index: unfilmed(source, index) for index in files}  # an unknown episode is to be known before the work
    takes = len(files) * (len(wished.checkpoint) + 1)
    with progress_bar(total=takes, desc="imagining", unit="take", disable=None, leave=False) as bar:
        for name, path in zip(names(folders), folders, strict=True):
            loaded = load_model(path, device=device)
            for index, film in films.items():
                check_fit(loaded.config, layout(source.episode(index)))
                found = take(name, loaded.model, source, index, wished.seed, device)
                films[index] = film._replace(takes=(*film.takes, found))
                bar.update()
        for index, film in films.items():
            write(film, files[index], kind, wished.seen)
            bar.update()
    for path in files.values():
        print(path)
    return list(files.values())


def destinations(wished: ImagineArguments) -> tuple[Format, dict[int, Path]]:
    """Return the format and {episode: its file}; the folder is made.

    Raises:
        ValueError: nothing is asked for, the file's name does not fit, or mp4 cannot be written here.
    """
    if not wished.checkpoint or not wished.episode:
        raise ValueError("there is nothing to imagine; give --checkpoint and --episode something")
    if wished.seen < 0:
        raise ValueError(f"--seen {wished.seen}: give 0 or more steps")
    episodes = tuple(dict.fromkeys(wished.episode))
    out = wished.out or run_folder(find(wished.checkpoint[0])) / "imagination"
    named = next((kind for kind in get_args(Format) if out.suffix == f".{kind}"), None)
    kind: Format = wished.format or named or "gif"
    if kind == "mp4":
        require_av()
    if named is None:
        out.mkdir(parents=True, exist_ok=True)
        return kind, {index: out / f"episode-{index:06d}.{kind}" for index in episodes}
    if named != kind:
        raise ValueError(f"--out {out} is not named after --format {kind}; leave one of them out")
    if len(episodes) > 1:
        raise ValueError(f"--out {out} is one file for {len(episodes)} episodes; give a folder")
    out.parent.mkdir(parents=True, exist_ok=True)
    return kind, {episodes[0]: out}


def write(film: Film, path: Path, kind: Format, seen: int) -> None:
    """Write a film, or a still picture of it; an older file is replaced once the new one is whole."""
    draft = path.with_name(f".{path.stem}.part.{kind}")
    try:
        if kind == "png" and film.truth.ndim == 2:
            save_vectors(film, draft)
        elif kind == "png":
            save_frames({take.name: [still(film, number)] for number, take in enumerate(film.takes)}, draft)
        else:
            pictures = screen.draw(film.since(max(0, film.context - seen)))
            pictures = np.concatenate([pictures, pictures[-1:].repeat(HELD, 0)])
            (write_gif if kind == "gif" else write_mp4)(draft, pictures)
        os.replace(draft, path)
    finally:
        draft.unlink(missing_ok=True)


def still(film: Film, number: int) -> Picture:
    """Return the frames of a film's take that a still picture shows: those of an evaluation's."""
    steps = pictured_steps(len(film.truth) - film.context)
    asked = [film.context + step for step in steps]
    context = film.truth[max(0, film.context - PICTURED_CONTEXT) : film.context]
    return Picture(film.episode, context, film.truth[asked], film.takes[number].frames[asked] / 255, steps)
