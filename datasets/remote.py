"""Data sets in object stores (S3, Google Cloud, Azure) and behind web servers, read through obstore.

Every request is one round trip over a network. So a listing says what all files' sizes are, small files are read whole
and only when they are needed, and a window is one range. What is read is checked like what comes from a disk.
"""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any
from urllib.parse import unquote, urlsplit

import google_crc32c
from obstore.exceptions import AlreadyExistsError, BaseError, PermissionDeniedError, UnauthenticatedError
from obstore.store import HTTPStore, LocalStore, from_url

from .folder import PIECE, Folder

HERE = os.getpid()  # obstore's threads are not in a forked child, where every request would wait for them for ever
# A request to a server that is silent, or only makes mistakes, fails after one to two minutes.
TIMES = {"connect_timeout": timedelta(seconds=10), "read_timeout": timedelta(seconds=60), "timeout": timedelta(hours=1)}
RETRIES: Any = {"max_retries": 10, "retry_timeout": timedelta(seconds=60)}
MACHINE_ROLE = "169.254.169.254"  # the address that a cloud's own machines have their credentials from


class RemoteFolder(Folder):
    """A folder of an object store: all objects whose names begin with its own. Retries are obstore's (`RETRIES`).

    Args:
        store: obstore's; other processes get one like it.
        prefix: the folder inside it.
        url: what the store is called in messages.
        sizes: {object: bytes} of a listing, which then answers instead of the store (`listed`); it is not pickled.
    """

    near = False

    def __init__(self, store: Any, prefix: str = "", url: str = "", sizes: dict[str, int] | None = None) -> None:
        self.store, self.prefix, self.sizes = store, prefix.strip("/"), sizes
        self.url = url or type(store).__name__
        self.lists = not isinstance(store, HTTPStore)

    def __reduce__(self) -> tuple[type[RemoteFolder], tuple[Any, str, str]]:
        return RemoteFolder, (self.store, self.prefix, self.url)

    @property
    def name(self) -> str:
        return str(self).rpartition("/")[2]

    def __str__(self) -> str:
        return f"{self.url}/{self.prefix}" if self.prefix else self.url

    def __truediv__(self, name: str) -> RemoteFolder:
        return RemoteFolder(self.store, self.path(name), self.url, self.sizes)

    def path(self, file: str) -> str:
        """Return the name of a file's object."""
        return f"{self.prefix}/{file}" if self.prefix else file

    def exists(self) -> bool:
        with self.request():
            return not self.lists or next(iter(self.store.list(self.prefix)), None) is not None

    def folders(self) -> list[str]:
        if self.sizes is not None:
            below = len(self.path(""))
            inside = (path[below:] for path in self.sizes if path.startswith(self.path("")))
            return sorted({name.partition("/")[0] for name in inside if "/" in name})
        return sorted(path.rpartition("/")[2] for path in self._listing()["common_prefixes"])

    def files(self) -> list[str]:
        return sorted(entry["path"].rpartition("/")[2] for entry in self._listing()["objects"])

    def has(self, file: str) -> bool:
        try:
            self.size(file)
        except FileNotFoundError:
            return False
        except PermissionError:  # what a public bucket that cannot be listed says of what is not there
            if self.lists:
                raise
            return False
        return True

    def listed(self) -> RemoteFolder:
        if not self.lists:
            return self
        with self.request():
            found = self.store.list(self.prefix, chunk_size=1000).collect()
        return RemoteFolder(self.store, self.prefix, self.url, {entry["path"]: entry["size"] for entry in found})

    def size(self, file: str) -> int:
        if self.sizes is None:
            with self.request(file):
                return self.store.head(self.path(file))["size"]
        if self.path(file) not in self.sizes:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), f"{self}/{file}")
        return self.sizes[self.path(file)]

    def read_range(self, file: str, offset: int, size: int) -> bytes:
        if size < 1:
            return b""
        with self.request(file):
            try:
                return self.store.get_range(self.path(file), start=offset, length=size).to_bytes()
            except BaseError:  # also what stores answer if it ends before
                if self.store.head(self.path(file))["size"] > offset:
                    raise
                return b""

    def read(self, file: str) -> bytes:
        with self.request(file):
            return self.store.get(self.path(file)).bytes().to_bytes()

    def checksum(self, file: str) -> int:
        value = 0
        with self.request(file):
            for piece in self.store.get(self.path(file)).stream(min_chunk_size=PIECE):
                value = google_crc32c.extend(value, piece)
        return value

    @contextmanager
    def request(self, file: str = "") -> Iterator[None]:
        """Turn what goes wrong with a file of this folder, or with the folder, into an OSError of one line.

        Raises:
            FileNotFoundError, FileExistsError, PermissionError, OSError: with the URL.
        """
        url = f"{self}/{file}" if file else str(self)
        if os.getpid() != HERE:
            raise OSError(errno.ENOTSUP, "obstore does not survive a fork: start processes with spawn", url)
        try:
            yield
        except FileNotFoundError:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), url) from None
        except AlreadyExistsError:
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), url) from None
        except (BaseError, NotImplementedError) as error:
            raise _explained(error, url) from None

    def _listing(self) -> Any:
        with self.request():
            return self.store.list_with_delimiter(self.prefix)


def open_url(url: str) -> RemoteFolder:
    """Return the folder at a URL: s3://bucket/folder, gs://..., az://..., https://..., file:///...

    Credentials and endpoints come from the environment, under the names that the clouds' own tools use.

    Raises:
        ValueError: if there is no such kind of URL, or something is missing to use it.
    """
    parts = urlsplit(url)
    web = parts.scheme in ("http", "https")
    if not web and ("?" in url or "#" in url):
        raise ValueError(f"{url} cannot be used: in a URL, write ? of a name as %3F and # as %23")
    if parts.scheme == "file":
        if parts.netloc:
            raise ValueError(f"{url} cannot be used: the path is to begin at the root, as in file:///home/me/data")
        path = re.sub("/+", "/", unquote(parts.path))
        return RemoteFolder(LocalStore(), path, "file://")  # the folder need not be there yet
    try:
        options: Any = TIMES | {"allow_http": parts.scheme == "http"}
        store = from_url(url, client_options=options, retry_config=RETRIES)
        return RemoteFolder(store, url=url.rstrip("/"))
    except (BaseError, ValueError) as error:
        raise ValueError(f"{url} cannot be used: {_first_line(error)}") from None


def _explained(error: Exception, url: str) -> OSError:
    text = _first_line(error)
    if isinstance(error, PermissionDeniedError | UnauthenticatedError) or MACHINE_ROLE in text:
        return PermissionError(
            errno.EACCES,
            f"no access; are the credentials set (AWS_ACCESS_KEY_ID, GOOGLE_APPLICATION_CREDENTIALS, "
            f"AZURE_STORAGE_ACCOUNT_KEY, ..., or AWS_SKIP_SIGNATURE=true for what is public)? {text}",
            url,
        )
    return OSError(errno.EIO, text, url)


def _first_line(error: Exception) -> str:
    """Return what obstore says, without its page of details."""
    return str(error).partition("\n")[0].strip()
