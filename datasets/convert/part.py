"""Files and folders that appear under their name only when they are whole, and have been read back."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple, Protocol

import google_crc32c
import numpy as np

from ..files import DatasetError, flush, flush_all, remove, remove_stale, scratch
from ..info import DatasetInfo
from ..progress import Progress
from .source import Source, arrays_of


class Writer(Protocol):
    """Writes episodes in turn."""

    def append(self, index: int, arrays: dict[str, np.ndarray]) -> None:
        """Write all arrays of one episode."""

    def close(self) -> None:
        """Finish what can be finished, and let go of the files; it may be called after a failure too."""


class ReadBack(NamedTuple):
    """An episode as the finished file gives it."""

    episode: int
    arrays: dict[str, np.ndarray]


class Format(NamedTuple):
    """How one format is written, and read back to be checked."""

    write: Callable[[Path, DatasetInfo], Writer]
    read: Callable[[Path, DatasetInfo], Iterator[ReadBack]]


class Mark(NamedTuple):
    """What an array must come back as."""

    dtype: str
    shape: tuple[int, ...]
    crc32c: int


def export(source: Source, destination: Path, how: Format, progress: Progress) -> None:
    """Write all of a source's episodes, read them back, compare, and only then give the result its name.

    Memory holds one episode. A stopped export leaves nothing but `<destination>.part`, which the next one clears away.

    Raises:
        ValueError: if `destination` is there already, or an episode cannot be had.
        DatasetError: if something reads back differently.
        OSError: if it cannot be written, or the disk is full.
    """
    info = source.info
    marks = []
    with part(destination) as draft:
        progress.begin(info.episodes, None)
        writer = how.write(draft, info)
        try:
            for index in range(info.episodes):
                arrays = arrays_of(source, index)
                marks.append(marks_of(arrays))
                writer.append(index, arrays)
                progress.advance(len(arrays["reward"]))
        finally:
            writer.close()
        check(draft, how.read(draft, info), marks)


@contextmanager
def part(destination: Path) -> Iterator[Path]:
    """Lend a path to write a file or a folder to; on leaving without an error it becomes `destination`, durably.

    Raises:
        ValueError: if `destination` is there already.
    """
    _refuse_existing(destination)
    workshop = destination.with_name(f"{destination.name}.part")
    workshop.mkdir(parents=True, exist_ok=True)
    remove_stale(workshop)
    draft = scratch(workshop, destination.name)
    try:
        yield draft
        if draft.is_dir():
            flush_all(draft)
        flush(draft)
        _refuse_existing(destination)
        os.rename(draft, destination)
        flush(destination.parent)
    finally:
        remove(draft)
        with contextlib.suppress(OSError):  # another conversion is at work in it
            workshop.rmdir()


def check(draft: Path, episodes: Iterator[ReadBack], marks: list[dict[str, Mark]]) -> None:
    """Compare what is read back with what was written.

    Raises:
        DatasetError: naming the episode and the array.
    """
    missing = set(range(len(marks)))
    for index, arrays in episodes:
        found = marks_of(arrays)
        wrong = [name for name in sorted(found | marks[index]) if found.get(name) != marks[index].get(name)]
        if wrong:
            raise DatasetError(f"{draft}: {', '.join(wrong)} of episode {index} reads back otherwise than written")
        missing.discard(index)
    if missing:
        raise DatasetError(f"{draft}: {len(missing)} episodes do not read back, episode {min(missing)} first")


def marks_of(arrays: dict[str, np.ndarray]) -> dict[str, Mark]:
    """Return the type, shape and checksum of each array."""
    return {
        name: Mark(value.dtype.name, value.shape, google_crc32c.value(np.ascontiguousarray(value).tobytes()))
        for name, value in arrays.items()
    }


def _refuse_existing(destination: Path) -> None:
    if destination.exists():
        raise ValueError(f"{destination} is there already: remove it, or choose another name")
