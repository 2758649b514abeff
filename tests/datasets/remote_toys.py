"""Stores for tests: a copy of a folder in memory, and one that says what it was asked for."""

from __future__ import annotations

import threading
from collections import Counter
from pathlib import Path
from typing import Any, NamedTuple

from obstore.store import MemoryStore

from longdream.datasets.remote import RemoteFolder
from longdream.tests.datasets.dataset_toys import contents

REQUESTS = ("get", "get_range", "head", "list", "list_with_delimiter", "put", "delete", "copy", "rename")


class Request(NamedTuple):
    """What a store was asked for."""

    verb: str
    path: str


class Watched:
    """A store, and what it was asked for; `before` is called with each request, and may fail it or make it wait."""

    def __init__(self, store: Any, before=lambda request: None) -> None:
        self.store, self.before, self.lock = store, before, threading.Lock()
        self.requests: list[Request] = []

    def __getattr__(self, name: str) -> Any:
        asked = getattr(self.store, name)
        if name not in REQUESTS:
            return asked

        def request(path: str = "", *arguments: Any, **options: Any) -> Any:
            with self.lock:
                self.requests.append(Request(name, path))
            self.before(Request(name, path))
            return asked(path, *arguments, **options)

        return request

    def counts(self) -> Counter:
        """Return how often it was asked for what, and forget it."""
        with self.lock:
            found = Counter(request.verb for request in self.requests)
            self.requests.clear()
        return found


def in_memory(root: Path) -> RemoteFolder:
    """Return a copy of a folder in a store in memory, inside a folder called "data/toy"."""
    store = MemoryStore()
    for path, data in contents(root).items():
        store.put(f"data/toy/{path}", data)
    return RemoteFolder(store, "data/toy", "memory://")


def stored(folder: RemoteFolder) -> dict[str, bytes]:
    """Return every object below a folder: {path: bytes}."""
    paths = sorted(folder.listed().sizes or {})
    return {path[len(folder.path("")) :]: folder.store.get(path).bytes().to_bytes() for path in paths}
