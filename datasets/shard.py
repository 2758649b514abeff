"""One committed shard, opened for reading."""

from __future__ import annotations

import re
from typing import NamedTuple

import google_crc32c
import numpy as np
from numcodecs.zstd import Zstd

from .cache import Cache
from .chunked import ChunkedReader, data_file
from .files import DatasetError
from .folder import Folder, Where, open_folder
from .info import DatasetInfo, ShardRange
from .manifest import MANIFEST, Manifest, check_file

SHARDS = "shards"  # the folder they are in
_NAME = re.compile(r"(\d{6,})-(\d{6,})")


class Place(NamedTuple):
    """A committed shard's folder and what its name promises."""

    range: ShardRange
    folder: Folder


class Shard:
    """Reads the episodes of one shard. Opening checks every size (as far as the folder lists it) and, on a disk, all
    small files; all that is read is checked then.

    Raises:
        DatasetError: naming the shard and the file, if anything is missing, has the wrong size, or is damaged.
    """

    def __init__(self, folder: Folder, info: DatasetInfo, cache: Cache) -> None:
        self.folder, self.info, self.cache = folder, info, cache
        self.manifest = Manifest.read(folder)
        self.range = self.manifest.range
        self.episodes = np.arange(*self.range)
        if self.manifest.fingerprint != info.fingerprint:
            raise DatasetError(f"{folder}: {MANIFEST} is of another data set, with other settings")
        for name, record in self.manifest.files.items() if folder.lists else ():
            check_file(folder, name, record, thorough=False)
        self.lengths = np.array(self.manifest.lengths, np.int64)
        padded = info.padded(self.lengths)
        self.offsets = np.cumsum(padded) - padded
        self.steps = int(padded.sum())  # of the flat time axis
        self.big = {
            name: ChunkedReader(folder, name, spec, info.chunk, self.steps, cache)
            for name, spec in info.stored.items()
            if info.is_chunked(name)
        }

    def disk_bytes(self, name: str) -> int:
        """Return the size of one array's files in bytes; "": of all."""
        files = self.manifest.files.items()
        return sum(record.size for path, record in files if not name or path.startswith(f"{name}/"))

    def read(self, name: str, episode: int, start: int, stop: int, out: np.ndarray, goes_on: bool) -> None:
        """Copy steps `start` to `stop` of an episode (counted from the data set's first) into `out`."""
        row = episode - self.range.first
        offset = int(self.offsets[row])
        if name in self.big:
            self.big[name].read(offset + start, offset + stop, out, goes_on and stop < int(self.lengths[row]))
        else:
            out[...] = self.small(name)[offset + start : offset + stop]

    def value(self, name: str, episode: int) -> np.ndarray:
        """Return the value that an array has for a whole episode."""
        return self.small(name)[episode - self.range.first]

    def small(self, name: str) -> np.ndarray:
        """Return a small array of all the shard's episodes, read-only."""
        key = (str(self.folder), name)
        values = self.cache.get(key)
        if values is None:
            values = self._decode(name)
            self.cache.put(key, values)
        return values

    def _decode(self, name: str) -> np.ndarray:
        spec = self.info.stored[name]
        file = f"{name}/{data_file(spec)}"
        rows = self.steps if spec.per_step else len(self.lengths)
        try:
            packed = self.folder.read(file)
            if google_crc32c.value(packed) != self.manifest.files[file].crc32c:
                raise ValueError("it does not match its checksum")
            raw = Zstd().decode(packed)
            return np.frombuffer(raw, np.dtype(spec.dtype).newbyteorder("<")).reshape(rows, *spec.shape)
        except FileNotFoundError:
            raise DatasetError(f"{self.folder}: {file} is missing") from None
        except (RuntimeError, ValueError) as error:  # ValueError: it holds more or less than it should
            raise DatasetError(f"{self.folder}: {file} is damaged: {error}") from None


def committed(root: Where, info: DatasetInfo) -> list[Place]:
    """List the shards of a data set in order, without opening them; what a larger shard covers is left out.

    Raises:
        DatasetError: if a folder's name cannot be of this data set.
    """
    largest: dict[int, Place] = {}
    for place in everything(root, info):
        first, stop = place.range
        if first % info.episodes_per_shard or not 0 < stop - first <= info.episodes_per_shard:
            raise DatasetError(
                f"{place.folder} is no shard of this data set, whose shards hold {info.episodes_per_shard} episodes: "
                "move it elsewhere"
            )
        if first not in largest or largest[first].range.stop < stop:
            largest[first] = place
    return [largest[first] for first in sorted(largest)]


def everything(root: Where, info: DatasetInfo) -> list[Place]:
    """List every shard folder, also those that a larger one covers.

    In an object store a shard comes file by file: it is there when its manifest is, the last one. A listing takes
    several requests, between which more files come: a second one has all files of the shards that the first one knew
    as whole. What cannot be listed, behind a web server, has to be whole.
    """
    shards = (open_folder(root) / SHARDS).listed()
    if not shards.lists:
        return [Place(what, shards / what.name) for what in info.shard_ranges()]
    names = [name for name in shards.folders() if shards.near or (shards / name).has(MANIFEST)]
    shards = shards.listed()
    matches = [_NAME.fullmatch(name) for name in names]
    places = [Place(ShardRange(int(m[1]), int(m[2])), shards / m[0]) for m in matches if m]
    return [place for place in places if shards.near or place.folder.has(MANIFEST)]
