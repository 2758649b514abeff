"""Where a data set is made: a folder on disk, or one of an object store. A shard appears there whole or not at all."""

from __future__ import annotations

import contextlib
import os
from abc import ABC, abstractmethod
from collections.abc import Iterable
from pathlib import Path

from .episode import Episode
from .files import remove, remove_stale, scratch
from .folder import Folder, LocalFolder, Where, open_folder
from .info import DatasetInfo, ShardRange
from .shard import SHARDS

DAMAGED = "damaged"  # the folder that damaged shards are moved to


class Target(ABC):
    """A place that several collectors may write a data set to at once.

    Attributes:
        folder: the place, for reading.
    """

    folder: Folder

    @abstractmethod
    def begin(self) -> None:
        """Make the place.

        Raises:
            ValueError: if it is one that nobody can write to.
        """

    @abstractmethod
    def write_info(self, info: DatasetInfo, replace: bool) -> bool:
        """Write `dataset.json` in one piece; False if there is one already and not `replace`."""

    @abstractmethod
    def write_shard(self, info: DatasetInfo, what: ShardRange, episodes: Iterable[Episode]) -> bool:
        """Write a shard of `episodes`; False where another collector was faster."""

    @abstractmethod
    def set_aside(self, what: ShardRange) -> None:
        """Move a shard into `damaged/`; another collector may be doing the same."""

    @abstractmethod
    def remove(self, what: ShardRange) -> None:
        """Remove a shard; another collector may be doing the same."""

    @abstractmethod
    def remove_stale(self) -> None:
        """Remove what dead collectors left half written."""


class LocalTarget(Target):
    """A folder on disk."""

    def __init__(self, root: Path) -> None:
        self.root, self.folder = root, LocalFolder(root)

    def begin(self) -> None:
        (self.root / "tmp").mkdir(parents=True, exist_ok=True)
        (self.root / SHARDS).mkdir(exist_ok=True)

    def write_info(self, info: DatasetInfo, replace: bool) -> bool:
        from .store import write_info  # zarr; `collect --help` does without

        return write_info(self.root, info, replace)

    def write_shard(self, info: DatasetInfo, what: ShardRange, episodes: Iterable[Episode]) -> bool:
        from .store import write_shard

        return write_shard(self.root, info, what, episodes)

    def set_aside(self, what: ShardRange) -> None:
        away = scratch(self.root / DAMAGED, what.name)
        away.parent.mkdir(exist_ok=True)
        with contextlib.suppress(FileNotFoundError):
            os.rename(self.root / SHARDS / what.name, away)

    def remove(self, what: ShardRange) -> None:
        gone = scratch(self.root / "tmp", what.name)
        with contextlib.suppress(FileNotFoundError):
            os.rename(self.root / SHARDS / what.name, gone)  # at once: who reads finds a whole shard or none
        remove(gone)

    def remove_stale(self) -> None:
        remove_stale(self.root / "tmp")


def open_target(where: Where) -> Target:
    """Return the target at a path or a URL.

    Raises:
        ValueError: if it is a URL that cannot be used.
    """
    folder = open_folder(where)
    if isinstance(folder, LocalFolder):
        return LocalTarget(folder.path)
    from .remote import RemoteFolder
    from .remote_target import RemoteTarget

    assert isinstance(folder, RemoteFolder)
    return RemoteTarget(folder)
