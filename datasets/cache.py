"""What was decoded and will be wanted again, within a number of bytes."""

from __future__ import annotations

import os
import threading
import weakref
from collections import OrderedDict
from collections.abc import Hashable

import numpy as np

CACHE_BYTES = 256e6  # where nobody says how many


class Cache:
    """The arrays used latest, of one data set in one process. It never holds more than `limit` bytes.

    Threads share it. Pickled, to another process, it travels empty and keeps its limit. A forked process has a copy.
    """

    def __init__(self, limit: float = CACHE_BYTES) -> None:
        self._limit = limit
        self._clear()
        _caches.add(self)

    def _clear(self) -> None:
        self._lock = threading.Lock()
        self._kept: OrderedDict[Hashable, np.ndarray] = OrderedDict()  # the one used longest ago comes first
        self._bytes = 0

    def __reduce__(self) -> tuple[type[Cache], tuple[float]]:
        return Cache, (self._limit,)

    @property
    def held(self) -> int:
        """How many bytes it holds."""
        return self._bytes

    @property
    def limit(self) -> float:
        """How many bytes it may hold; with 0 it keeps nothing."""
        return self._limit

    @limit.setter
    def limit(self, limit: float) -> None:
        with self._lock:
            self._limit = limit
            self._make_room(0)

    def get(self, key: Hashable) -> np.ndarray | None:
        """Return what is kept under a key."""
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
            return self._kept.get(key)

    def put(self, key: Hashable, values: np.ndarray) -> None:
        """Keep an array in place of those used longest ago; one above the limit is not kept."""
        with self._lock:
            self._drop(key)
            if values.nbytes <= self._limit:
                self._make_room(values.nbytes)
                self._kept[key] = values
                self._bytes += values.nbytes

    def drop(self, key: Hashable) -> None:
        """Forget what nobody will ask for again."""
        with self._lock:
            self._drop(key)

    def clear(self) -> None:
        """Forget everything."""
        with self._lock:
            self._kept.clear()
            self._bytes = 0

    def after_fork(self) -> None:
        """Begin anew where another thread was at it, which the fork has left to the parent in mid-work."""
        if self._lock.locked():
            self._clear()

    def _drop(self, key: Hashable) -> None:
        if key in self._kept:
            self._bytes -= self._kept.pop(key).nbytes

    def _make_room(self, size: int) -> None:
        while self._kept and self._bytes + size > self._limit:
            self._drop(next(iter(self._kept)))


_caches: weakref.WeakSet[Cache] = weakref.WeakSet()  # of this process


def _after_fork() -> None:
    for cache in _caches:
        cache.after_fork()


os.register_at_fork(after_in_child=_after_fork)


def take_begun(cache: Cache, where: Hashable, chunk: int, start: int, stop: int, out: np.ndarray, goes_on: bool) -> int:
    """Copy what another reading has left of the chunk in which it stopped, if that was at `start`.

    Args:
        cache: holds that chunk, whole, under (`where`, its number).
        where: the array.
        chunk: its steps.
        start: first step.
        stop: the step after the last.
        out: (stop-start ...) where to put them.
        goes_on: somebody will want the steps from `stop` on: if they are of the same chunk, it stays in the cache.

    Returns:
        How many steps that was.
    """
    number, inside = divmod(start, chunk)
    whole = cache.get((where, number)) if inside else None
    if whole is None:
        return 0
    done = min(stop - start, chunk - inside)
    out[:done] = whole[inside : inside + done]
    if start + done < stop or not goes_on:
        cache.drop((where, number))
    return done
