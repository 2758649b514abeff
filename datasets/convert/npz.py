"""Folders of npz files with one episode each, as most replay buffers and the official Memory Maze data are."""

from __future__ import annotations

import zipfile
import zlib
from pathlib import Path

import numpy as np


def episode_files(folder: Path) -> list[Path]:
    """Return the npz files of a folder, by name: file e is episode e.

    Raises:
        ValueError: if there is none.
    """
    files = sorted(folder.glob("*.npz"))
    if not files:
        raise ValueError(f"{folder} holds no npz files")
    return files


def read_npz(path: Path) -> dict[str, np.ndarray]:
    """Return all arrays of a file, in this machine's byte order.

    Raises:
        ValueError: naming the file, if it is damaged or holds Python objects.
    """
    try:
        with path.open("rb") as raw, np.load(raw, allow_pickle=False) as file:  # np.load leaks what it cannot read
            arrays = {name: file[name] for name in sorted(file.files)}
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, ValueError) as error:
        raise ValueError(f"{path} cannot be read: {error}") from None
    return {name: value.astype(value.dtype.newbyteorder("="), copy=False) for name, value in arrays.items()}


def names(path: Path) -> set[str]:
    """Return the names of a file's arrays without reading them."""
    try:
        with path.open("rb") as raw, np.load(raw, allow_pickle=False) as file:
            return set(file.files)
    except (zipfile.BadZipFile, OSError, ValueError) as error:
        raise ValueError(f"{path} cannot be read: {error}") from None
