"""Making the index of a folder of tars: where every array lies, and its checksums.

Axes: E episodes, A arrays, N checksums.
"""

from __future__ import annotations

import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO, NamedTuple

import google_crc32c
import numpy as np

from .files import DatasetError
from .folder import LocalFolder
from .info import DatasetInfo, step_bytes
from .tar_index import TARS, TarRecord, array_bytes, write_index
from .verify import side_by_side

SUFFIX = ".npy"


def index_tars(
    folder: Path, info: DatasetInfo, progress: Callable[[int, int], object] = lambda done, total: None
) -> None:
    """Read all tars of a folder, and write its `tars.json`.

    Args:
        folder: where they are.
        info: what the data set is.
        progress: called with the tars read and their total.

    Raises:
        DatasetError: naming the tar, if one is cut off or an array is not as `info` says, or if an episode is missing
            or comes twice. Nothing is written then.
        ValueError: if there is an index: a new one would declare whole what was damaged since; or if there is no tar.
    """
    if (folder / TARS).exists():
        raise ValueError(f"{folder / TARS} is there already: remove it if the tars were made anew")
    paths = sorted(folder.glob("*.tar"))
    if not paths:
        raise ValueError(f"{folder} holds no tars: none of its files is called *.tar")
    tars = {}
    for path, record in zip(paths, side_by_side(paths, lambda path: scan_tar(path, info)), strict=True):
        tars[path.name] = record
        progress(len(tars), len(paths))
    write_index(folder, info, tars)


def scan_tar(path: Path, info: DatasetInfo) -> TarRecord:
    """Find out what a tar holds by reading all of it.

    Members are called `<episode>.<array>.npy`, in whatever folder; others, and arrays that the data set does not know,
    are passed over.

    Raises:
        DatasetError: naming the tar, if it is cut off, an array is missing, or one is not as `dataset.json` says.
    """
    with path.open("rb") as file:
        try:
            found = _members(file, info)
            episodes = sorted(found)
            lengths = [_check_members(episode, found[episode], info) for episode in episodes]
            sums = [_sums(file, found[episode], info) for episode in episodes]
        except (tarfile.TarError, ValueError) as error:
            raise DatasetError(f"{path} cannot be indexed: {error}") from None
    local = LocalFolder(path.parent)
    offsets = [[found[episode][name].offset for name in info.stored] for episode in episodes]
    return TarRecord(
        size=local.size(path.name),
        crc32c=local.checksum(path.name),
        episodes=np.array(episodes, np.int64),
        lengths=np.array(lengths, np.int64),
        offsets=np.array(offsets, np.int64).reshape(-1, len(info.stored)),
        checksums=np.array([crc for episode in sums for crc in episode], np.uint32),
    )


class _Member(NamedTuple):
    """An npy in a tar."""

    offset: int  # of its values, bytes from the tar's beginning
    size: int  # of its values, bytes
    dtype: np.dtype
    shape: tuple[int, ...]
    fortran: bool

    @classmethod
    def read(cls, file: BinaryIO, entry: tarfile.TarInfo) -> _Member:
        """Read the header of an npy.

        Raises:
            ValueError: if it is none, or one of the later versions, which no array of numbers needs.
        """
        file.seek(entry.offset_data)
        if np.lib.format.read_magic(file) != (1, 0):
            raise ValueError(f"{entry.name} is no npy of version 1.0")
        shape, fortran, dtype = np.lib.format.read_array_header_1_0(file)
        return cls(file.tell(), entry.offset_data + entry.size - file.tell(), dtype, shape, fortran)


def _members(file: BinaryIO, info: DatasetInfo) -> dict[int, dict[str, _Member]]:
    """Return the arrays of every episode in a tar.

    Raises:
        tarfile.TarError: if it is no tar, or cut off. Where it ends after a whole member tarfile sees no fault.
        ValueError: naming the member, if one is no npy, comes twice, or is stored without its zeros.
    """
    found: dict[int, dict[str, _Member]] = {}
    with tarfile.open(fileobj=file, mode="r:") as tar:
        for entry in tar:
            key, _, name = entry.name.rpartition("/")[2].removesuffix(SUFFIX).partition(".")
            if not (entry.isreg() and entry.name.endswith(SUFFIX) and key.isdecimal() and name in info.stored):
                continue
            members = found.setdefault(int(key), {})
            if name in members:
                raise ValueError(f"{entry.name} comes twice")
            if entry.issparse():  # it is no run of bytes
                raise ValueError(f"{entry.name} is stored sparse: pack without -S")
            members[name] = _Member.read(file, entry)
    return found


def _check_members(episode: int, members: dict[str, _Member], info: DatasetInfo) -> int:
    """Hold an episode's members against the data set's arrays, and return the episode's length.

    Raises:
        ValueError: naming the array.
    """
    missing = [name for name in info.stored if name not in members]
    if missing:
        raise ValueError(f"episode {episode} lacks {', '.join(missing)}")
    length = members["reward"].shape[0] if members["reward"].shape else 0
    for name, spec in info.stored.items():
        found, shape = members[name], (length, *spec.shape) if spec.per_step else spec.shape
        wanted = np.dtype(spec.dtype).newbyteorder("<")
        if (found.dtype, found.shape) != (wanted, shape) or (found.fortran and len(shape) > 1):
            order = " in Fortran's order" if found.fortran else ""
            raise ValueError(f"{name} of episode {episode} is {found.dtype} {found.shape}{order}, not {wanted} {shape}")
        if found.size != array_bytes(info, name, length):
            raise ValueError(f"{name} of episode {episode} has {found.size} bytes, {shape} needs another number")
    return length


def _sums(file: BinaryIO, members: dict[str, _Member], info: DatasetInfo) -> list[int]:
    """Return the checksums of an episode (N)."""
    sums = []
    for name, spec in info.stored.items():
        offset, size = members[name].offset, members[name].size
        step = info.chunk * step_bytes(spec) if info.is_chunked(name) else max(size, 1)
        for start in range(0, max(size, 1), step):
            file.seek(offset + start)
            sums.append(google_crc32c.value(file.read(min(step, size - start))))
    return sums
