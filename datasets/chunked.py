"""Big arrays: one file of compressed chunks and an index, in zarr's own sharding format. Here they are read.

Directly, because zarr's reader spends most of a window's time on itself; the tests compare the two. Steps are counted
on the shard's flat time axis.

Source: zarr v3, "Sharding codec" (index at the end: an (offset, size) pair of uint64 per chunk, then a crc32c).
"""

from __future__ import annotations

import google_crc32c
import numpy as np
from numcodecs.zstd import Zstd

from .cache import Cache, take_begun
from .episode import ArraySpec
from .files import DatasetError
from .folder import Folder
from .info import step_bytes

ABSENT = 2**64 - 1  # zarr's mark of a chunk that was not written
DIGEST_BYTES = 4_000_000  # decoded at a time to check all of what is far away, where a chunk alone would be a request


def data_file(spec: ArraySpec) -> str:
    """Return where an array's chunks are, inside its folder: zarr's name of the first (and only) shard."""
    return "/".join(["c", *"0" * (len(spec.shape) + 1)])


class ChunkedReader:
    """Reads steps of one array. It holds the index and no open file: it can be pickled, forked, and shared by threads.

    Args:
        shard: the folder of the shard.
        name: of the array.
        spec: its type and shape.
        chunk: steps that were compressed together.
        steps: of the flat time axis.
        cache: for chunks of which only a part was asked for yet.

    Raises:
        DatasetError: at once, if the index is damaged or a chunk is absent, which zarr would read as zeros.
    """

    def __init__(self, shard: Folder, name: str, spec: ArraySpec, chunk: int, steps: int, cache: Cache) -> None:
        self.shard, self.spec, self.chunk, self.steps, self.cache = shard, spec, chunk, steps, cache
        self.file = f"{name}/{data_file(spec)}"
        self.where = f"{shard}: {self.file}"  # for messages
        self.index = self._read_index(steps // chunk)  # (chunks 2) offset and size in bytes

    def read(self, start: int, stop: int, out: np.ndarray, goes_on: bool = False) -> None:
        """Decode steps `start` to `stop` (exclusive) into `out` (contiguous): whole chunks without a copy.

        Args:
            start: first step.
            stop: the step after the last.
            out: (stop-start ...) where to put them.
            goes_on: somebody will want the steps from `stop` on: what is left of its chunk waits for them in the cache.
        """
        goes_on = goes_on and stop % self.chunk != 0
        done = take_begun(self.cache, self.where, self.chunk, start, stop, out, goes_on)
        if start + done < stop:
            self._read_chunks(start + done, stop, out[done:], goes_on)

    def _read_chunks(self, start: int, stop: int, out: np.ndarray, goes_on: bool) -> None:
        """Decode from the file."""
        first, last = start // self.chunk, -(-stop // self.chunk)
        begin = int(self.index[first, 0])
        packed = memoryview(self._bytes(begin, int(self.index[last - 1].sum()) - begin))
        for number in range(first, last):
            offset, size = (int(x) for x in self.index[number])
            piece = packed[offset - begin : offset - begin + size]
            low, high = number * self.chunk, (number + 1) * self.chunk
            if start <= low and high <= stop:
                self._decode(number, piece, out[low - start : high - start])
            else:
                whole = np.empty((self.chunk, *self.spec.shape), self.spec.dtype)
                self._decode(number, piece, whole)
                a, b = max(low, start), min(high, stop)
                out[a - start : b - start] = whole[a - low : b - low]
                if goes_on and number == last - 1:
                    self.cache.put((self.where, number), whole)

    def digest(self) -> int:
        """Decode everything, some chunks at a time, and return its crc32c."""
        value = 0
        chunks = 1 if self.shard.near else max(1, DIGEST_BYTES // (self.chunk * step_bytes(self.spec)))
        some = chunks * self.chunk
        for start in range(0, self.steps, some):
            values = np.empty((min(some, self.steps - start), *self.spec.shape), self.spec.dtype)
            self.read(start, start + len(values), values)
            value = google_crc32c.extend(value, values.tobytes())
        return value

    def _decode(self, number: int, packed: memoryview, out: np.ndarray) -> None:
        try:
            Zstd().decode(packed, out.reshape(-1).view(np.uint8))
        except (RuntimeError, ValueError) as error:  # ValueError: it says that it holds more than a chunk
            raise DatasetError(f"{self.where} is damaged in chunk {number}: {error}") from None

    def _bytes(self, offset: int, size: int) -> bytes:
        try:
            data = self.shard.read_range(self.file, offset, size)
        except FileNotFoundError:
            raise DatasetError(f"{self.where} is missing") from None
        if len(data) != size:
            raise DatasetError(f"{self.where} ends too early: {len(data)} of {size} bytes at {offset}")
        return data

    def _read_index(self, chunks: int) -> np.ndarray:
        try:
            size = self.shard.size(self.file)
        except FileNotFoundError:
            raise DatasetError(f"{self.where} is missing") from None
        if size < 16 * chunks + 4:
            raise DatasetError(f"{self.where} ends too early: {size} bytes, its index alone has {16 * chunks + 4}")
        raw = self._bytes(size - 16 * chunks - 4, 16 * chunks + 4)
        if google_crc32c.value(raw[:-4]) != int.from_bytes(raw[-4:], "little"):
            raise DatasetError(f"{self.where} is damaged: its index does not match its checksum")
        index = np.frombuffer(raw[:-4], "<u8").reshape(chunks, 2)
        absent = np.flatnonzero((index == ABSENT).any(1))
        if len(absent):
            raise DatasetError(f"{self.where} lacks chunk {absent[0]}")
        index = index.astype(np.int64)
        if index[0, 0] != 0 or (index[1:, 0] != index[:-1].sum(1)).any() or index[-1].sum() != size - len(raw):
            raise DatasetError(f"{self.where} is damaged: its chunks do not follow each other")
        return index
