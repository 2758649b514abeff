"""Checking a data set byte by byte: every file against its checksum, every array decoded against its digest."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import pairwise
from typing import NamedTuple, TypeVar

import google_crc32c

from .cache import Cache
from .files import DatasetError, TooNewError
from .folder import Folder, Where, open_folder
from .info import DatasetInfo
from .manifest import Manifest, check_file
from .shard import SHARDS, Place, Shard, committed
from .tar import Tar
from .tar_index import TarRecord, read_index

Thing = TypeVar("Thing")
Result = TypeVar("Result")


class Checked(NamedTuple):
    """What checking one shard has found."""

    place: Place
    problems: list[str]  # a line each, naming the shard and the file; empty: it is as it was written


def cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def verify(
    root: Where,
    progress: Callable[[int, int], object] = lambda done, total: None,
    workers: int | None = None,
) -> list[str]:
    """Check every shard, or every tar, of a data set thoroughly.

    Args:
        root: the data set's folder.
        progress: called with the shards or tars checked and their total.
        workers: how many are checked side by side; None: as many as there are cores.

    Returns:
        What is wrong, a line each, naming the shard and the file, or the tar, episode and array; the shards still
        missing come last.

    Raises:
        DatasetError: if there is no data set, or its `dataset.json`, or the index of its tars, is damaged.
        ValueError: if there is to be no worker.
    """
    folder = open_folder(root)
    info = DatasetInfo.read(folder)
    tars = read_index(folder, info)
    if tars:
        check = partial(_tar_problems, folder, info)
        return _collect(side_by_side(list(tars.items()), check, workers), len(tars), progress)
    places = committed(folder, info)
    check_shard = _or_say_so if info.capacity is None else _or_gone
    checks = check_shards(places, info, check_shard, workers)
    problems = _collect((checked.problems for checked in checks), len(places), progress)
    return problems + _missing(folder, info, places)


def _missing(folder: Folder, info: DatasetInfo, places: list[Place]) -> list[str]:
    """Return a line for each shard that is to be there and is not; a replay has all from its first to its last."""
    if info.capacity is not None:
        return [
            f"{folder / SHARDS}: episodes {before.range.stop} to {after.range.first - 1} are missing"
            for before, after in pairwise(places)
            if before.range.stop < after.range.first
        ]
    present = {place.range.first: place.range.stop for place in places}
    return [
        f"{folder / SHARDS / wanted.name} is missing: it was not collected yet, or was removed"
        for wanted in info.shard_ranges()
        if present.get(wanted.first, 0) < wanted.stop
    ]


def check_shards(
    places: list[Place],
    info: DatasetInfo,
    check: Callable[[Place, DatasetInfo], list[str]],
    workers: int | None = None,
) -> Iterator[Checked]:
    """Check shards side by side, and yield what was found in their order. Who stops listening stops the checking."""
    yield from side_by_side(places, lambda place: Checked(place, check(place, info)), workers)


def side_by_side(
    things: Sequence[Thing], work: Callable[[Thing], Result], workers: int | None = None
) -> Iterator[Result]:
    """Yield what `work` returns of each thing, in their order. Who stops listening stops the work.

    Threads, because the checksums and zstd let go of the interpreter's lock.
    """
    if workers is not None and workers < 1:
        raise ValueError(f"--workers {workers}: 1 or more")
    pool = ThreadPoolExecutor(workers or cores())
    try:
        for job in [pool.submit(work, thing) for thing in things]:
            yield job.result()
    finally:
        pool.shutdown(cancel_futures=True)


def _collect(checks: Iterator[list[str]], total: int, progress: Callable[[int, int], object]) -> list[str]:
    """Return the problems of all."""
    problems: list[str] = []
    for done, found in enumerate(checks, 1):
        problems += found
        progress(done, total)
    return problems


def shard_problems(place: Place, info: DatasetInfo) -> list[str]:
    """Check one shard: first its files, all of them, then what they decode to.

    Returns:
        A line for each thing that is wrong, naming the shard and the file.

    Raises:
        TooNewError: if a newer version wrote it.
        OSError: if a file that is there cannot be read.
    """
    try:
        return _file_problems(place) or _value_problems(place, info)
    except TooNewError:
        raise
    except DatasetError as error:
        return [str(error)]


def _or_say_so(place: Place, info: DatasetInfo) -> list[str]:
    """Check one shard; what keeps it from being read is one more problem, and the other shards are checked still."""
    try:
        return shard_problems(place, info)
    except TooNewError as error:
        return [str(error)]
    except OSError as error:
        return [f"{error.filename or place.folder} cannot be read: {error.strerror or error}"]


def _or_gone(place: Place, info: DatasetInfo) -> list[str]:
    """Check one shard of a replay; that its run has removed it since is no problem."""
    problems = _or_say_so(place, info)
    return problems if place.folder.exists() else []


def _tar_problems(folder: Folder, info: DatasetInfo, named: tuple[str, TarRecord]) -> list[str]:
    """Check one tar; what keeps it from being read is one more problem."""
    try:
        return list(Tar(folder, *named, info, Cache(0)).problems())
    except DatasetError as error:
        return [str(error)]
    except OSError as error:
        return [f"{folder / named[0]} cannot be read: {error.strerror or error}"]


def _file_problems(place: Place) -> list[str]:
    """Compare every file with its record."""
    problems = []
    for name, record in Manifest.read(place.folder).files.items():
        try:
            check_file(place.folder, name, record, thorough=True)
        except DatasetError as error:
            problems.append(str(error))
        except FileNotFoundError:  # another collector is just removing the shard
            problems.append(f"{place.folder}: {name} is missing")
        except OSError as error:  # reading does not say which file it was
            raise OSError(error.errno, error.strerror, f"{place.folder}: {name}") from None
    return problems


def _value_problems(place: Place, info: DatasetInfo) -> list[str]:
    """Compare what every array decodes to with its digest, chunk by chunk."""
    shard = Shard(place.folder, info, Cache(0))
    digests = {name: reader.digest() for name, reader in shard.big.items()}
    small = [name for name in info.stored if name not in digests]
    digests |= {name: google_crc32c.value(shard.small(name).tobytes()) for name in small}
    written = shard.manifest.digests
    wrong = [name for name, digest in digests.items() if digest != written.get(name)]
    return [f"{place.folder}: {name} decodes to other values than were written" for name in wrong]
