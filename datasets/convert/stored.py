"""Our own data sets as source and as target of a conversion."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import numpy as np

from ..episode import Episode
from ..files import DatasetError
from ..folder import Where
from ..info import DatasetInfo, ShardRange
from ..progress import Progress
from ..reader import EpisodeDataset
from ..resume import begin, finish, missing_shards, set_damaged_aside
from ..shard import SHARDS, Place, committed
from ..target import Target, open_target
from ..verify import shard_problems
from .source import Source, arrays_of


class StoredEpisodes:
    """The episodes of a data set; frames that are drawn on reading are drawn.

    Raises:
        ValueError: if it is not complete: episodes would change their number, and with it their split.
    """

    def __init__(self, root: Where) -> None:
        self.dataset = EpisodeDataset(root)
        self.info = dataclasses.replace(self.dataset.info, recipe=None)
        if self.info.capacity is not None:
            raise ValueError(f"{root} is the replay of an online run, whose episodes come and go: it is read as it is")
        if len(self.dataset) != self.info.episodes:
            raise ValueError(
                f"{root} holds {len(self.dataset)} of {self.info.episodes} episodes: finish it first, with the command "
                "that began it"
            )

    def name(self, index: int) -> str:
        """Return the data set and the number."""
        return f"{self.dataset.folder}: episode {index}"

    def episode(self, index: int) -> Episode:
        """Return an episode."""
        return self.dataset.episode(index)


def into_store(source: Source, root: Where, progress: Progress) -> None:
    """Make a data set of a source's episodes, or what it still lacks of them: it goes on where it was stopped.

    Shards that are there are checked, damaged ones made again. Every new one is decoded and compared with what the
    source gave.

    Raises:
        ValueError: if `root` holds another data set, or the source's files are not those that it was begun with.
        DatasetError: if a shard does not come back as it was written; it is set aside.
        OSError: if `root` cannot be written, or the disk is full. What was finished is kept.
    """
    target = open_target(root)
    begin(root, source.info)
    target.remove_stale()
    set_damaged_aside(root, source.info, progress)
    _check_same_source(source, root)
    missing = missing_shards(root, source.info)
    progress.begin(sum(stop - first for first, stop in missing), None)
    for what in missing:
        target.write_shard(source.info, what, _episodes(source, what, progress))
        _check_written(target, source.info, what)
    finish(root, source.info)


def _episodes(source: Source, what: ShardRange, progress: Progress) -> Iterator[Episode]:
    for index in range(*what):
        episode = Episode.from_named(arrays_of(source, index))
        progress.advance(len(episode))
        yield episode


def _check_written(target: Target, info: DatasetInfo, what: ShardRange) -> None:
    """Decode a new shard; its manifest holds the digests of what the source gave."""
    place = Place(what, (target.folder / SHARDS / what.name).listed())
    problems = shard_problems(place, info)
    if problems:
        target.set_aside(what)
        raise DatasetError(f"{problems[0]}, though it was just written: is the disk sound? The shard is set aside")


def _check_same_source(source: Source, root: Where) -> None:
    """Compare the last episode of every shard that is there: one file more or less would move all that follow it."""
    places = committed(root, source.info)
    if not places:
        return
    there = EpisodeDataset(root)
    for place in places:
        last = place.range.stop - 1
        wanted, found = arrays_of(source, last), there.episode(last).named(source.info.observation.name)
        for name, value in wanted.items():
            if not np.array_equal(value, found[name], equal_nan=value.dtype.kind == "f"):
                raise ValueError(
                    f"{root} was begun with other files: {name} of its episode {last} is not that of "
                    f"{source.name(last)}. Convert into another folder"
                )
