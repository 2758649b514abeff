"""Making a data set shard by shard: begin it or go on with it, set damaged shards aside, see which are missing.

Whatever makes episodes (a collector, an import) goes on where it was stopped by making the shards that are not there.
"""

from __future__ import annotations

import dataclasses

from .folder import Where
from .info import DatasetInfo, ShardRange
from .manifest import MANIFEST
from .progress import Progress
from .shard import SHARDS, Place, committed, everything
from .tar_index import TARS
from .target import DAMAGED, Target, open_target
from .verify import check_shards, shard_problems


def begin(root: Where, wanted: DatasetInfo) -> None:
    """Make the place and its `dataset.json`, or see that they are of the same data set, and note the new target.

    Raises:
        ValueError: naming what differs.
        OSError: if it cannot be written.
    """
    target = open_target(root)
    if target.folder.has(TARS):
        raise ValueError(f"{root} holds a data set in tars, to which nothing can be added: take another folder")
    target.begin()
    if target.write_info(wanted, replace=False):
        return
    there = DatasetInfo.read(root)
    differences = there.differences(wanted)
    if differences:
        raise ValueError(
            f"{root} holds another data set: {'; '.join(differences)}. Take another folder, or go on with its settings"
        )
    if wanted.capacity is None:
        stops = [place.range.stop for place in committed(root, there)]
        if max(stops, default=0) > wanted.episodes:
            raise ValueError(f"{root} holds {max(stops)} episodes already: {wanted.episodes} would add none")
    _set_target(root, there, wanted)


def set_damaged_aside(root: Where, info: DatasetInfo, progress: Progress) -> None:
    """Check every shard that is there as `longdream verify` does, and move damaged ones away.

    Raises:
        TooNewError: if a newer version wrote one: it is not damaged.
        OSError: if a file that is there cannot be read: another try may.
    """
    places, target = committed(root, info), open_target(root)
    for done, (place, found) in enumerate(check_shards(places, info, shard_problems), 1):
        if found and _is_damaged_now(target, place.range, info):
            target.set_aside(place.range)
            progress.say(f"{found[0]}; the shard is set aside in {target.folder / DAMAGED} and made again")
        progress.checked(done, len(places))


def _is_damaged_now(target: Target, what: ShardRange, info: DatasetInfo) -> bool:
    """Check a shard again, by a listing of now: another collector may have set it aside since, and be making it."""
    folder = (target.folder / SHARDS / what.name).listed()
    if folder.near:
        return folder.exists()
    return folder.has(MANIFEST) and bool(shard_problems(Place(what, folder), info))


def missing_shards(root: Where, info: DatasetInfo) -> list[ShardRange]:
    """Return what is still to be made; a tail shard that has become too small is made anew, larger."""
    stops = {place.range.first: place.range.stop for place in committed(root, info)}
    return [wanted for wanted in info.shard_ranges() if stops.get(wanted.first, 0) < wanted.stop]


def finish(root: Where, wanted: DatasetInfo) -> None:
    """Remove the shards that larger ones have replaced."""
    there, target = DatasetInfo.read(root), open_target(root)
    current = {place.range for place in committed(root, there)}
    for place in everything(root, there):
        if place.range not in current:
            target.remove(place.range)
    if there.episodes < wanted.episodes:  # another collector, with a smaller target, began after this one
        _set_target(root, there, wanted)


def _set_target(root: Where, there: DatasetInfo, wanted: DatasetInfo) -> None:
    new = dataclasses.replace(there, episodes=wanted.episodes, capacity=wanted.capacity)
    if new != there:
        open_target(root).write_info(new, replace=True)
