"""Making a data set shard by shard: begin it or go on with it, set damaged shards aside, see which are missing.

Whatever makes episodes (a collector, an import) goes on where it was stopped by making the shards that are not there.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
from pathlib import Path

from .files import remove, scratch
from .info import DatasetInfo, ShardRange
from .progress import Progress
from .shard import SHARDS, committed, everything
from .verify import check_shards, shard_problems


def begin(root: Path, wanted: DatasetInfo) -> None:
    """Make the folder and its `dataset.json`, or see that they are of the same data set, and note the new target.

    Raises:
        ValueError: naming what differs.
        OSError: if the folder cannot be written.
    """
    from .store import write_info

    (root / "tmp").mkdir(parents=True, exist_ok=True)
    (root / "shards").mkdir(exist_ok=True)
    if write_info(root, wanted, replace=False):
        return
    there = DatasetInfo.read(root)
    differences = there.differences(wanted)
    if differences:
        raise ValueError(
            f"{root} holds another data set: {'; '.join(differences)}. Take another folder, or go on with its settings"
        )
    stops = [place.range.stop for place in committed(root, there)]
    if max(stops, default=0) > wanted.episodes:
        raise ValueError(f"{root} holds {max(stops)} episodes already: {wanted.episodes} would add none")
    _set_target(root, there, wanted.episodes)


def set_damaged_aside(root: Path, info: DatasetInfo, progress: Progress) -> None:
    """Check every shard that is there as `longdream verify` does, and move damaged ones away.

    Raises:
        TooNewError: if a newer version wrote one: it is not damaged.
        OSError: if a file that is there cannot be read: another try may.
    """
    places = committed(root, info)
    for done, (place, found) in enumerate(check_shards(places, info, shard_problems), 1):
        if found and place.folder.exists():  # else another collector has just replaced it
            set_aside(root, place.range)
            progress.say(f"{found[0]}; the shard is set aside in {root / 'damaged'} and made again")
        progress.checked(done, len(places))


def missing_shards(root: Path, info: DatasetInfo) -> list[ShardRange]:
    """Return what is still to be made; a tail shard that has become too small is made anew, larger."""
    stops = {place.range.first: place.range.stop for place in committed(root, info)}
    return [wanted for wanted in info.shard_ranges() if stops.get(wanted.first, 0) < wanted.stop]


def finish(root: Path, wanted: DatasetInfo) -> None:
    """Remove the shards that larger ones have replaced."""
    there = DatasetInfo.read(root)
    current = {place.range for place in committed(root, there)}
    for place in everything(root):
        if place.range not in current:
            remove(root / SHARDS / place.range.name)
    if there.episodes < wanted.episodes:  # another collector, with a smaller target, began after this one
        _set_target(root, there, wanted.episodes)


def _set_target(root: Path, there: DatasetInfo, episodes: int) -> None:
    from .store import write_info

    if there.episodes != episodes:
        write_info(root, dataclasses.replace(there, episodes=episodes), replace=True)


def set_aside(root: Path, what: ShardRange) -> None:
    """Move a shard into `damaged/`."""
    away = scratch(root / "damaged", what.name)
    away.parent.mkdir(exist_ok=True)
    with contextlib.suppress(FileNotFoundError):  # another collector did it
        os.rename(root / SHARDS / what.name, away)
