"""Writing big arrays chunk by chunk, in zarr's own sharding format (see chunked.py).

zarr's writer gives the same bytes (the tests compare), but wants the whole array in memory and two to three times the
CPU time.
"""

from __future__ import annotations

from pathlib import Path

import google_crc32c
import numpy as np
import zarr
from numcodecs.zstd import Zstd
from zarr.codecs import ZstdCodec

from .chunked import data_file
from .episode import ArraySpec

LEVEL = 3  # of zstd; 1 saves little time, more saves little space


class ChunkedWriter:
    """Appends episodes to the chunks of one array."""

    def __init__(self, folder: Path, spec: ArraySpec, chunk: int) -> None:
        self.name, self.spec, self.chunk = folder.name, spec, chunk
        self.codec = Zstd(level=LEVEL, checksum=True)
        self.entries: list[tuple[int, int]] = []
        self.end = 0  # of the file, in bytes
        self.digest = 0  # crc32c of all steps so far, padding included
        path = folder / data_file(spec)
        path.parent.mkdir(parents=True)
        self.file = path.open("wb")

    def append(self, values: np.ndarray) -> None:
        """Write the steps of one episode (T ...); its last chunk is filled up with zeros."""
        for start in range(0, len(values), self.chunk):
            piece = np.ascontiguousarray(values[start : start + self.chunk])
            if len(piece) < self.chunk:
                filler = np.zeros((self.chunk - len(piece), *self.spec.shape), values.dtype)
                piece = np.concatenate([piece, filler])
            self.digest = google_crc32c.extend(self.digest, piece.tobytes())
            packed = self.codec.encode(piece)
            self.file.write(packed)
            self.entries.append((self.end, len(packed)))
            self.end += len(packed)

    def finish(self, group: zarr.Group) -> int:
        """Write the index and the array's metadata into `group`, and return the digest."""
        index = np.array(self.entries, "<u8").tobytes()
        self.file.write(index + google_crc32c.value(index).to_bytes(4, "little"))
        self.close()
        group.create_array(
            self.name,
            shape=(len(self.entries) * self.chunk, *self.spec.shape),
            dtype=self.spec.dtype,
            chunks=(self.chunk, *self.spec.shape),
            shards=(len(self.entries) * self.chunk, *self.spec.shape),
            compressors=ZstdCodec(level=LEVEL, checksum=True),
            fill_value=0,
            config={"write_empty_chunks": True},
        )
        return self.digest

    def close(self) -> None:
        """Let go of the file."""
        self.file.close()
