"""Where the files of a data set are: `Folder` is what reading needs of it, on a disk or in an object store."""

from __future__ import annotations

import importlib.util
import os
from abc import ABC, abstractmethod
from pathlib import Path

import google_crc32c

PIECE = 1 << 20  # bytes read at a time


class Folder(ABC):
    """A folder that is only read. It holds nothing open: threads share it, and it travels to other processes.

    Files are named by their path below the folder, with "/" between the parts. Reading one that is not there raises
    FileNotFoundError; whatever else keeps it from being read, another OSError.

    Attributes:
        near: whether looking at a file costs next to nothing; otherwise, small ones are not read to be checked only.
        lists: whether it can say what is in it: a plain web server cannot.
    """

    near: bool = True
    lists: bool = True

    @property
    @abstractmethod
    def name(self) -> str:
        """The last part of the folder's own name."""

    @abstractmethod
    def __str__(self) -> str:
        """Return the folder as a user would type it."""

    @abstractmethod
    def __truediv__(self, name: str) -> Folder:
        """Return the folder `name` inside this one, whether it is there or not."""

    @abstractmethod
    def exists(self) -> bool:
        """Say whether there is such a folder."""

    @abstractmethod
    def folders(self) -> list[str]:
        """Return the names of the folders inside, sorted; none where there is no such folder."""

    @abstractmethod
    def files(self) -> list[str]:
        """Return the names of the files right inside, sorted; none where there is no such folder."""

    def has(self, file: str) -> bool:
        """Say whether there is such a file right inside."""
        return file in self.files()

    def listed(self) -> Folder:
        """Return this folder, which knows from now on what is in it, if asking for each file would take long."""
        return self

    @abstractmethod
    def size(self, file: str) -> int:
        """Return a file's size in bytes."""

    @abstractmethod
    def read_range(self, file: str, offset: int, size: int) -> bytes:
        """Return `size` bytes of a file from `offset` on; fewer where it ends before."""

    def read(self, file: str) -> bytes:
        """Return a whole file."""
        return self.read_range(file, 0, self.size(file))

    def checksum(self, file: str) -> int:
        """Return the crc32c of a file, read piece by piece."""
        value = 0
        for offset in range(0, self.size(file), PIECE):
            value = google_crc32c.extend(value, self.read_range(file, offset, PIECE))
        return value


class LocalFolder(Folder):
    """A folder on disk."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        self._text = os.fspath(self.path)  # every file of a data set is looked at when it is opened: no slow Path

    @property
    def name(self) -> str:
        return self.path.name

    def __str__(self) -> str:
        return self._text

    def __truediv__(self, name: str) -> LocalFolder:
        return LocalFolder(os.path.join(self._text, name))

    def exists(self) -> bool:
        return self.path.is_dir()

    def folders(self) -> list[str]:
        return sorted(entry.name for entry in self._entries() if entry.is_dir())

    def files(self) -> list[str]:
        return sorted(entry.name for entry in self._entries() if entry.is_file())

    def size(self, file: str) -> int:
        try:
            return os.stat(os.path.join(self._text, file)).st_size
        except NotADirectoryError as error:  # a file where a folder should be
            raise FileNotFoundError(*error.args) from None

    def read_range(self, file: str, offset: int, size: int) -> bytes:
        descriptor = os.open(os.path.join(self._text, file), os.O_RDONLY)
        try:
            return os.pread(descriptor, size, offset)
        finally:
            os.close(descriptor)

    def _entries(self) -> list[os.DirEntry[str]]:
        if not self.exists():
            return []
        with os.scandir(self._text) as entries:
            return list(entries)


Where = str | os.PathLike[str] | Folder  # how a data set's place is said


def is_url(where: Where) -> bool:
    """Say whether a place is written as a URL."""
    return isinstance(where, str) and "://" in where


def open_folder(where: Where) -> Folder:
    """Return the folder at a path or a URL.

    Raises:
        ValueError: if it is a URL that cannot be used.
    """
    if isinstance(where, Folder):
        return where
    if not (isinstance(where, str) and is_url(where)):
        return LocalFolder(where)
    if importlib.util.find_spec("obstore") is None:
        raise ValueError(f"{where} needs obstore: pip install 'longdream[remote]'")
    from .remote import open_url

    return open_url(where)
