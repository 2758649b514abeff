"""The index of a folder of tars, `tars.json`: where every array lies, so that tars are read like any other files.

A tar member holds an uncompressed npy, which is one run of bytes. With the run's offset and checksums a window of an
episode is one read, from a disk or by a range request, and what is read is known to be what was written. A data set of
30,000 episodes of 1,001 steps and 15 arrays has an index of 11 MB, for 370 GB of tars of 64x64 frames. (The name is not
the usual index.json, which other loaders of tars write into the same folder.)

Axes: E episodes, A arrays, N checksums.
"""

from __future__ import annotations

import base64
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from .files import FORMAT, DatasetError, flush, remove, scratch, seal, unseal
from .folder import Folder
from .info import DatasetInfo, step_bytes
from .shard import SHARDS

TARS = "tars.json"  # the file's name


@dataclass(frozen=True, eq=False)
class TarRecord:
    """What one tar holds, and where."""

    size: int  # of the file, bytes
    crc32c: int  # of the file
    episodes: np.ndarray  # (E) int64, ascending
    lengths: np.ndarray  # (E) int64, steps
    offsets: np.ndarray  # (E A) int64, bytes from the tar's beginning to the values; arrays as in `DatasetInfo.stored`
    checksums: np.ndarray  # (N) uint32, crc32c: episode by episode, array by array, `checksum_counts` of each


def checksum_counts(info: DatasetInfo, lengths: np.ndarray) -> np.ndarray:
    """Return how many checksums each array of each episode has (E A): one a chunk of a big array, else one."""
    chunks = -(-lengths // info.chunk)
    return np.stack([chunks if info.is_chunked(name) else np.ones_like(chunks) for name in info.stored], 1)


def array_bytes(info: DatasetInfo, name: str, length: int) -> int:
    """Return the bytes of an array's values in an episode of `length` steps."""
    spec = info.stored[name]
    return step_bytes(spec) * (length if spec.per_step else 1)


def write_index(folder: Path, info: DatasetInfo, tars: dict[str, TarRecord]) -> None:
    """Write `tars.json`, last of all: a folder without it is not whole.

    Raises:
        DatasetError: if the tars do not hold every episode of the data set once.
    """
    _check_complete(str(folder), info, tars)
    plain = {name: _to_json(tars[name]) for name in sorted(tars)}
    draft = scratch(folder, TARS)
    try:
        draft.write_text(seal({"format": FORMAT, "fingerprint": info.fingerprint, "tars": plain}))
        flush(draft)
        os.replace(draft, folder / TARS)
    finally:
        remove(draft)
    flush(folder)


def read_index(folder: Folder, info: DatasetInfo) -> dict[str, TarRecord]:
    """Read `tars.json`: the records of a data set's tars by their names; none where it is kept in shards.

    Raises:
        DatasetError: if it is damaged, too new, or of another data set, or there are tars without it and no shards.
    """
    if not folder.has(TARS):
        has_tars = folder.lists and any(name.endswith(".tar") for name in folder.files())
        if has_tars and SHARDS not in folder.folders():
            raise DatasetError(f"{folder} holds tars, but no {TARS}: `longdream index {folder}` makes it")
        return {}
    plain = unseal(folder, TARS, str(folder / TARS))
    if plain["fingerprint"] != info.fingerprint:
        raise DatasetError(f"{folder / TARS} is of another data set than the dataset.json beside it")
    tars = {name: _from_json(record, len(info.stored)) for name, record in plain["tars"].items()}
    _check_complete(str(folder), info, tars)
    return tars


def _check_complete(where: str, info: DatasetInfo, tars: dict[str, TarRecord]) -> None:
    """See that every episode is there once."""
    episodes = np.concatenate([np.empty(0, np.int64)] + [record.episodes for record in tars.values()])
    present, counts = np.unique(episodes, return_counts=True)
    if (counts > 1).any():
        raise DatasetError(f"{where}: its tars hold episode {present[counts > 1][0]} more than once")
    if not np.array_equal(present, np.arange(info.episodes)):
        missing = np.setdiff1d(np.arange(info.episodes), present)
        which = f"episode {missing[0]} is missing" if len(missing) else f"it has episode {present[-1]}"
        raise DatasetError(f"{where}: its tars hold {len(present)} episodes of {info.episodes}: {which}")


def _to_json(record: TarRecord) -> dict[str, Any]:
    return {
        "size": record.size,
        "crc32c": record.crc32c,
        "episodes": _pack(record.episodes, "<i8"),
        "lengths": _pack(record.lengths, "<i8"),
        "offsets": _pack(record.offsets, "<i8"),
        "checksums": _pack(record.checksums, "<u4"),
    }


def _from_json(plain: dict[str, Any], arrays: int) -> TarRecord:
    return TarRecord(
        size=plain["size"],
        crc32c=plain["crc32c"],
        episodes=_unpack(plain["episodes"], "<i8"),
        lengths=_unpack(plain["lengths"], "<i8"),
        offsets=_unpack(plain["offsets"], "<i8").reshape(-1, arrays),
        checksums=_unpack(plain["checksums"], "<u4"),
    )


def _pack(values: np.ndarray, dtype: str) -> str:
    return base64.b64encode(values.astype(dtype).tobytes()).decode()


def _unpack(text: str, dtype: str) -> np.ndarray:
    return np.frombuffer(base64.b64decode(text), dtype)
