"""What keeps files whole: checksums, JSON under a seal, and names that appear only when their file is complete."""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import google_crc32c
import psutil

from .folder import Folder

FORMAT = 1  # of the data set's files; a newer one is refused
STALE_SECONDS = 86400.0  # a scratch of another machine, or of a recycled process id, is left alone for a day
_SCRATCH = re.compile(r".+\.(?P<host>[0-9a-f]{8})\.(?P<pid>\d+)\.[0-9a-f]{8}")


class DatasetError(ValueError):
    """A data set on disk is damaged, incomplete or too new; the message names the shard and the file."""


class TooNewError(DatasetError):
    """A file has a newer format than this version reads: it is whole, and must not be made anew."""


def seal(payload: dict[str, Any]) -> str:
    """Return `payload` as JSON text that carries its own crc32c. Equal payloads give equal text."""
    body = json.dumps(payload, sort_keys=True).encode()
    return json.dumps({**payload, "crc32c": google_crc32c.value(body)}, sort_keys=True, indent=1) + "\n"


def unseal(folder: Folder, file: str, name: str, newest: int = FORMAT) -> dict[str, Any]:
    """Read what `seal` wrote.

    Args:
        folder: where the file is.
        file: its path there.
        name: what messages call it: "data/toy/shards/000000-000008: manifest.json".
        newest: the last format of this file that is read.

    Raises:
        DatasetError: if the file is missing, or differs from what was written by a single bit.
        TooNewError: if it has a newer format.
    """
    try:
        text = folder.read(file)
        payload = json.loads(text)
        crc = payload.pop("crc32c", None)
    except FileNotFoundError:
        raise DatasetError(f"{name} is missing") from None
    except (ValueError, AttributeError):
        raise DatasetError(f"{name} is damaged: it is not the JSON that was written") from None
    version = payload.get("format")
    if isinstance(version, int) and version > newest:
        raise TooNewError(f"{name} has format {version}; this longdream reads up to {newest}: upgrade it")
    # Written again it must give the same bytes: that covers white space and the order of keys as well as the values.
    if crc is None or seal(payload).encode() != text:
        raise DatasetError(f"{name} is damaged: it does not match its checksum")
    return payload


def scratch(folder: Path, name: str) -> Path:
    """Return a new path in `folder` whose name says who is writing it: machine, process, and a random part."""
    return folder / f"{name}.{_host()}.{os.getpid()}.{uuid.uuid4().hex[:8]}"


def remove_stale(folder: Path) -> int:
    """Remove what dead processes left in `folder`, and return how many things there were.

    What belongs to a living process of this machine is kept, and what another machine wrote less than a day ago.
    """
    stale = [path for path in folder.glob("*") if _is_stale(path)]
    for path in stale:
        remove(path)
    return len(stale)


def remove(path: Path) -> None:
    """Remove a file or a folder; another process may be doing the same."""
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def flush(path: Path) -> None:
    """Make a file or a folder survive a power cut (fsync)."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def flush_all(folder: Path) -> None:
    """Make all that is below a folder survive a power cut.

    Side by side, because a file system commits what waits at the same time together: ten times faster than in turn.
    """
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(flush, folder.rglob("*")))


def _is_stale(path: Path) -> bool:
    match = _SCRATCH.fullmatch(path.name)
    if match is None:
        return False
    if match["host"] == _host() and not _is_alive(int(match["pid"])):
        return True
    try:
        return time.time() - path.stat().st_mtime > STALE_SECONDS
    except FileNotFoundError:
        return False


def _is_alive(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
    except psutil.AccessDenied:
        return True  # it lives, under another user


def _host() -> str:
    """Eight hex digits for this machine."""
    return f"{google_crc32c.value(socket.gethostname().encode()):08x}"
