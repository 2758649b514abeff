"""One tar of a data set, opened for reading: any window of any episode, by its place in the index.

Axes: E episodes, A arrays.
"""

from __future__ import annotations

from collections.abc import Iterator

import google_crc32c
import numpy as np

from .cache import Cache, take_begun
from .episode import ArraySpec
from .files import DatasetError
from .folder import Folder
from .info import DatasetInfo, step_bytes
from .tar_index import TarRecord, array_bytes, checksum_counts

NEAR = 4096  # bytes between two small arrays that are read together: a header of tar, one of npy, and padding


class Tar:
    """Reads the episodes of one tar. It holds no open file: it can be pickled, forked, and shared by threads.

    Every byte that it returns has matched its checksum. Big arrays are checked by the chunk, so a window costs one
    read of the chunks it touches; the small arrays of an episode cost one read together, and are kept in `cache`.

    Raises:
        DatasetError: naming the tar, if it is missing or has the wrong size.
    """

    def __init__(self, folder: Folder, name: str, record: TarRecord, info: DatasetInfo, cache: Cache) -> None:
        self.folder, self.file, self.record, self.info, self.cache = folder, name, record, info, cache
        self.where = str(folder / name)  # for messages
        self.episodes, self.lengths = record.episodes, record.lengths
        self._columns = {array: column for column, array in enumerate(info.stored)}
        self._counts = counts = checksum_counts(info, record.lengths)  # (E A)
        self._sums = (np.cumsum(counts) - counts.reshape(-1)).reshape(counts.shape)  # (E A) each array's first checksum
        try:
            size = folder.size(name)
        except FileNotFoundError:
            raise DatasetError(f"{self.where} is missing") from None
        if size != record.size:
            raise DatasetError(f"{self.where} has {size} bytes, {record.size} were written")

    def disk_bytes(self, name: str) -> int:
        """Return the size of one array's values in bytes; "": of the tar."""
        if not name:
            return self.record.size
        return sum(array_bytes(self.info, name, int(length)) for length in self.lengths) if name in self._columns else 0

    def read(self, name: str, episode: int, start: int, stop: int, out: np.ndarray, goes_on: bool) -> None:
        """Copy steps `start` to `stop` of an episode (counted from the data set's first) into `out`."""
        if not self.info.is_chunked(name):
            out[...] = self._small(name, episode)[start:stop]
            return
        row, chunk = self._row(episode), self.info.chunk
        goes_on = goes_on and stop < int(self.lengths[row]) and stop % chunk != 0
        done = take_begun(self.cache, (self.file, name, episode), chunk, start, stop, out, goes_on)
        if start + done < stop:
            self._read_chunks(name, row, start + done, stop, out[done:], goes_on)

    def value(self, name: str, episode: int) -> np.ndarray:
        """Return the value that an array has for a whole episode."""
        return self._small(name, episode)

    def problems(self) -> Iterator[str]:
        """Compare the tar with its checksum, and if they differ every episode with its own.

        Yields:
            A line for each damaged episode, naming its first damaged array, or one for the tar.
        """
        if self.folder.checksum(self.file) == self.record.crc32c:
            return
        damaged = False
        for row, counts in enumerate(self._counts.tolist()):
            try:
                for name, count in zip(self._columns, counts, strict=True):
                    self._chunks(name, row, 0, count)
            except DatasetError as error:
                damaged = True
                yield str(error)
        if not damaged:
            yield f"{self.where} is damaged between its arrays: it does not match its checksum"

    def _small(self, name: str, episode: int) -> np.ndarray:
        """Return a whole small array, and keep those that were read with it."""
        values = self.cache.get((self.file, name, episode))
        if values is None:
            found = self._read_together(name, self._row(episode))
            for other, array in found.items():
                self.cache.put((self.file, other, episode), array)
            values = found[name]
        return values

    def _read_together(self, name: str, row: int) -> dict[str, np.ndarray]:
        """Read a small array and its neighbours in the tar."""
        length = int(self.lengths[row])
        names = self._neighbours(name, row)
        sizes = [array_bytes(self.info, other, length) for other in names]
        offsets = [int(self.record.offsets[row, self._columns[other]]) for other in names]
        data = self._bytes(name, row, offsets[0], offsets[-1] + sizes[-1] - offsets[0])
        found = {}
        for other, offset, size in zip(names, offsets, sizes, strict=True):
            piece = data[offset - offsets[0] : offset - offsets[0] + size]
            self._check(other, row, 0, piece)
            found[other] = _values(piece, self.info.stored[other])
        return found

    def _neighbours(self, name: str, row: int) -> list[str]:
        """Return the small arrays of an episode that lie around one, itself among them, in the order of the tar."""
        small = [other for other in self._columns if not self.info.is_chunked(other)]
        offsets = self.record.offsets[row, [self._columns[other] for other in small]]
        sizes = np.array([array_bytes(self.info, other, int(self.lengths[row])) for other in small])
        order = np.argsort(offsets)
        apart = (offsets + sizes)[order][:-1] + NEAR < offsets[order][1:]
        runs = np.split(order, np.flatnonzero(apart) + 1)
        return next(names for names in ([small[place] for place in run] for run in runs) if name in names)

    def _read_chunks(self, name: str, row: int, start: int, stop: int, out: np.ndarray, goes_on: bool) -> None:
        """Copy steps of a big array into `out`; if that `goes_on`, the last chunk waits in the cache."""
        first, last, chunk = start // self.info.chunk, -(-stop // self.info.chunk), self.info.chunk
        values = _values(self._chunks(name, row, first, last), self.info.stored[name])  # from step `first` `chunk` on
        out[...] = values[start - first * chunk : stop - first * chunk]
        if goes_on:
            key = ((self.file, name, int(self.episodes[row])), last - 1)
            self.cache.put(key, values[(last - 1 - first) * chunk :].copy())

    def _chunks(self, name: str, row: int, first: int, last: int) -> bytes:
        """Read chunks `first` to `last` (exclusive) of an array, of which a small one has one, and check them.

        Raises:
            DatasetError: naming tar, episode, array and steps.
        """
        size = array_bytes(self.info, name, int(self.lengths[row]))
        step = self.info.chunk * step_bytes(self.info.stored[name]) if self.info.is_chunked(name) else size
        begin, end = first * step, min(last * step, size)
        data = self._bytes(name, row, int(self.record.offsets[row, self._columns[name]]) + begin, end - begin)
        for number in range(first, last):
            low = (number - first) * step
            self._check(name, row, number, data[low : low + step])
        return data

    def _check(self, name: str, row: int, number: int, data: bytes) -> None:
        if google_crc32c.value(data) != self.record.checksums[self._sums[row, self._columns[name]] + number]:
            where = f"{self.where}: {name} of episode {self.episodes[row]} is damaged"
            steps = f" in chunk {number}" if self.info.is_chunked(name) else ""
            raise DatasetError(f"{where}{steps}: it does not match its checksum")

    def _bytes(self, name: str, row: int, offset: int, size: int) -> bytes:
        try:
            data = self.folder.read_range(self.file, offset, size)
        except FileNotFoundError:
            raise DatasetError(f"{self.where} is missing") from None
        if len(data) != size:
            where = f"{self.where}: {name} of episode {self.episodes[row]}"
            raise DatasetError(f"{where} ends too early: {len(data)} of {size} bytes at {offset}")
        return data

    def _row(self, episode: int) -> int:
        return int(np.searchsorted(self.episodes, episode))


def _values(data: bytes, spec: ArraySpec) -> np.ndarray:
    """Return what the bytes are: steps of an array (T ...), or its value (...)."""
    shape = (-1, *spec.shape) if spec.per_step else spec.shape
    return np.frombuffer(data, np.dtype(spec.dtype).newbyteorder("<")).reshape(shape)
