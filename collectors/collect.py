"""Collecting a data set: begin it or go on with it, see which shards are missing, have them made."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, Protocol

from ..datasets.files import remove, remove_stale, scratch
from ..datasets.frames.renderers import check
from ..datasets.info import ON_READ, STORED, DatasetInfo, ShardRange, episodes_per_shard
from ..datasets.shard import Place, committed, everything
from ..datasets.splits import Splits
from ..datasets.verify import cores, file_problems
from .workers import Job, make_shards


class Progress(Protocol):
    """Whom the collector tells how far it is."""

    def say(self, text: str) -> None:
        """Take a line that the user should read."""

    def checked(self, done: int, total: int) -> None:
        """Take the number of existing shards checked so far."""

    def begin(self, episodes: int, frames: int) -> None:
        """Take how much there is to make."""

    def advance(self, frames: int) -> None:
        """Take the frames of one more episode."""


def describe_dataset(
    name: str,
    options: Any,
    episodes: int,
    seed: int,
    splits: Splits,
    per_shard: int | None = None,
    frames: str = STORED,
) -> DatasetInfo:
    """Return the `dataset.json` of a data set to be.

    Args:
        name: of the environment.
        options: the environment's.
        episodes: how many.
        seed: of the data set; episode e is a pure function of (environment, options, seed, e).
        splits: which of them are for what.
        per_shard: episodes of a shard; None: as many as 200 MB hold, 8 to 128.
        frames: "stored", or "on-read": not stored but drawn when they are read, from the side arrays.

    Raises:
        ValueError: if a value is out of range; the environment checks its own options.
    """
    from .catalogue import ENVIRONMENTS
    from .rollout import array_specs

    if episodes < 1:
        raise ValueError(f"--n {episodes}: a data set has 1 episode or more")
    if seed < 0:
        raise ValueError(f"--seed {seed}: 0 or more")
    if per_shard is not None and per_shard < 1:
        raise ValueError(f"--per-shard {per_shard}: 1 or more")
    environment = ENVIRONMENTS[name]
    _check_frames(name, options, frames)
    spec, arrays = environment.spec(options), array_specs(environment, options)
    info = DatasetInfo(
        environment=name,
        options=json.loads(json.dumps(dataclasses.asdict(options))),
        spec=spec,
        seed=seed,
        episodes=episodes,
        splits=splits,
        arrays=arrays,
        episodes_per_shard=1,
        recipe=environment.recipe if frames == ON_READ else None,
    )
    return dataclasses.replace(info, episodes_per_shard=per_shard or episodes_per_shard(info.stored, spec.length))


def _check_frames(name: str, options: Any, frames: str) -> None:
    """See that the frames of an environment can be had in the way that is asked for.

    Raises:
        ValueError: if not, with what would do.
    """
    from .catalogue import ENVIRONMENTS

    environment = ENVIRONMENTS[name]
    if environment.recipe is not None:
        check(options.renderer)
        if frames == ON_READ and options.renderer in environment.undrawable:
            raise ValueError(
                f"--frames {frames}: the frames of {name} by --renderer {options.renderer} have to be stored"
            )
    elif frames == ON_READ:
        able = ", ".join(key for key, other in ENVIRONMENTS.items() if other.recipe)
        raise ValueError(f"--frames {frames}: the frames of {name} have to be stored; drawn can be those of {able}")


def collect(root: Path, wanted: DatasetInfo, options: Any, workers: int, progress: Progress) -> None:
    """Make the data set `wanted` at `root`, or what it still lacks.

    Shards that are there are checked against their checksums; damaged ones are moved to `damaged/` and made again.
    Any number of collectors may do this at once.

    Raises:
        ValueError: if another data set is there already, or more episodes than wanted.
        OSError: if `root` cannot be written, or the disk is full. What was finished is kept.
    """
    begin(root, wanted)
    remove_stale(root / "tmp")
    set_damaged_aside(root, wanted, progress)
    missing = missing_shards(root, wanted)
    episodes = sum(stop - first for first, stop in missing)
    progress.begin(episodes, episodes * wanted.spec.length)
    make_shards(Job(root, wanted, options), missing, workers, progress.advance)
    finish(root, wanted)


def begin(root: Path, wanted: DatasetInfo) -> None:
    """Make the folder and its `dataset.json`, or see that they are of the same data set, and note the new target.

    Raises:
        ValueError: naming what differs.
        OSError: if the folder cannot be written.
    """
    from ..datasets.store import write_info

    (root / "tmp").mkdir(parents=True, exist_ok=True)
    (root / "shards").mkdir(exist_ok=True)
    if write_info(root, wanted, replace=False):
        return
    there = DatasetInfo.read(root)
    differences = there.differences(wanted)
    if differences:
        raise ValueError(
            f"{root} holds another data set: {'; '.join(differences)}. Take another --out, or go on with its settings"
        )
    stops = [place.range.stop for place in committed(root, there)]
    if max(stops, default=0) > wanted.episodes:
        raise ValueError(f"{root} holds episodes up to {max(stops)} already: --n {wanted.episodes} would add none")
    _set_target(root, there, wanted.episodes)


def set_damaged_aside(root: Path, info: DatasetInfo, progress: Progress) -> None:
    """Check the files of every shard that is there against their checksums, and move damaged shards away."""
    places = committed(root, info)
    with ThreadPoolExecutor(cores()) as pool:
        problems = pool.map(partial(file_problems, info=info), places)
        for done, (place, found) in enumerate(zip(places, problems, strict=True), 1):
            if found and place.folder.exists():  # else another collector has just replaced it
                _set_aside(root, place)
                progress.say(f"{found[0]}; the shard is set aside in {root / 'damaged'} and made again")
            progress.checked(done, len(places))


def missing_shards(root: Path, info: DatasetInfo) -> list[ShardRange]:
    """Return what is still to be made; a tail shard that has become too small is made anew, larger."""
    stops = {place.range.first: place.range.stop for place in committed(root, info)}
    return [wanted for wanted in info.shard_ranges() if stops.get(wanted.first, 0) < wanted.stop]


def finish(root: Path, wanted: DatasetInfo) -> None:
    """Remove the shards that larger ones have replaced."""
    there = DatasetInfo.read(root)
    current = {place.folder for place in committed(root, there)}
    for place in everything(root):
        if place.folder not in current:
            remove(place.folder)
    if there.episodes < wanted.episodes:  # another collector, with a smaller target, began after this one
        _set_target(root, there, wanted.episodes)


def _set_target(root: Path, there: DatasetInfo, episodes: int) -> None:
    from ..datasets.store import write_info

    if there.episodes != episodes:
        write_info(root, dataclasses.replace(there, episodes=episodes), replace=True)


def _set_aside(root: Path, place: Place) -> None:
    away = scratch(root / "damaged", place.folder.name)
    away.parent.mkdir(exist_ok=True)
    with contextlib.suppress(FileNotFoundError):  # another collector did it
        os.rename(place.folder, away)
