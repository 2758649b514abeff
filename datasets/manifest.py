"""A shard's list of contents, `manifest.json`: written last, so a shard that has one was written to its end."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

from .files import FORMAT, DatasetError, flush, seal, unseal
from .folder import Folder, LocalFolder
from .info import ShardRange

MANIFEST = "manifest.json"
CHECKED_AT_OPEN = 65536  # bytes: files up to this size are read and checked when a shard on a disk is opened


class FileRecord(NamedTuple):
    """What one file of a shard must look like."""

    size: int  # bytes
    crc32c: int


@dataclass(frozen=True)
class Manifest:
    """What a shard holds."""

    range: ShardRange
    fingerprint: int  # of the data set it belongs to
    lengths: list[int]  # of its episodes, in steps
    digests: dict[str, int]  # {array: crc32c of its decoded bytes, padding included}
    files: dict[str, FileRecord]  # {path inside the shard: ...}

    def write(self, folder: Path) -> None:
        """Write it into the shard at `folder`, and make it last."""
        plain: dict[str, Any] = {"format": FORMAT, **asdict(self)}
        (folder / MANIFEST).write_text(seal(plain))
        flush(folder / MANIFEST)

    @classmethod
    def read(cls, folder: Folder) -> Manifest:
        """Read the manifest of the shard at `folder`.

        Raises:
            DatasetError: if it is missing, damaged or too new.
        """
        plain = unseal(folder, MANIFEST, f"{folder}: {MANIFEST}")
        files = {name: FileRecord(*record) for name, record in plain["files"].items()}
        manifest = cls(
            ShardRange(*plain["range"]), plain["fingerprint"], plain["lengths"], plain["digests"], files
        )  # fmt: skip
        if manifest.range.name != folder.name:
            raise DatasetError(f"{folder}: {MANIFEST} is of shard {manifest.range.name}: the folder was renamed")
        return manifest


def record_files(folder: Path) -> dict[str, FileRecord]:
    """Return the record of every file below `folder`, by its path there."""
    files, local = (path for path in folder.rglob("*") if path.is_file()), LocalFolder(folder)
    names = sorted(path.relative_to(folder).as_posix() for path in files)
    return {name: FileRecord(local.size(name), local.checksum(name)) for name in names}


def check_file(folder: Folder, name: str, record: FileRecord, thorough: bool) -> None:
    """Compare a file with its record: its size, and its checksum if it is small and near or the check `thorough`.

    Raises:
        DatasetError: naming the shard and the file.
    """
    try:
        size = folder.size(name)
    except FileNotFoundError:
        raise DatasetError(f"{folder}: {name} is missing") from None
    if size != record.size:
        raise DatasetError(f"{folder}: {name} has {size} bytes, {record.size} were written")
    if (thorough or (folder.near and size <= CHECKED_AT_OPEN)) and folder.checksum(name) != record.crc32c:
        raise DatasetError(f"{folder}: {name} is damaged: it does not match its checksum")
