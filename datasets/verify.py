"""Checking a data set byte by byte: every file against its checksum, every array decoded against its digest."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import google_crc32c

from .files import DatasetError
from .info import DatasetInfo
from .manifest import Manifest, check_file
from .shard import Place, Shard, SmallArrays, committed


def cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def verify(root: Path, progress: Callable[[int, int], object] = lambda done, total: None) -> list[str]:
    """Check every shard of a data set thoroughly.

    Args:
        root: the data set's folder.
        progress: called with the shards checked and their total.

    Returns:
        What is wrong, a line each, naming the shard and the file; the shards still missing come last.

    Raises:
        DatasetError: if there is no data set, or its `dataset.json` is damaged.
    """
    info = DatasetInfo.read(root)
    places = committed(root, info)
    problems: list[str] = []
    with ThreadPoolExecutor(cores()) as pool:
        for done, found in enumerate(pool.map(partial(shard_problems, info=info), places), 1):
            problems += found
            progress(done, len(places))
    present = {place.range.first: place.range.stop for place in places}
    for wanted in info.shard_ranges():
        if present.get(wanted.first, 0) < wanted.stop:
            problems.append(f"{root / 'shards' / wanted.name} is missing: it was not collected yet, or was removed")
    return problems


def shard_problems(place: Place, info: DatasetInfo) -> list[str]:
    """Check one shard: first its files, all of them, then what they decode to."""
    problems = file_problems(place, info)
    if problems:
        return problems
    try:
        shard = Shard(place.folder, info, SmallArrays())
        digests = {name: reader.digest() for name, reader in shard.big.items()}
        small = [name for name in info.stored if name not in digests]
        digests |= {name: google_crc32c.value(shard.small(name).tobytes()) for name in small}
    except DatasetError as error:
        return [str(error)]
    written = shard.manifest.digests
    wrong = [name for name, digest in digests.items() if digest != written.get(name)]
    return [f"{place.folder}: {name} decodes to other values than were written" for name in wrong]


def file_problems(place: Place, info: DatasetInfo) -> list[str]:
    """Compare every file of a shard with its record, without decoding; return a line for each that is wrong."""
    problems = []
    try:
        for name, record in Manifest.read(place.folder).files.items():
            try:
                check_file(place.folder, name, record, thorough=True)
            except DatasetError as error:
                problems.append(str(error))
        if not problems:
            Shard(place.folder, info, SmallArrays())
    except DatasetError as error:
        return [str(error)]
    return problems
