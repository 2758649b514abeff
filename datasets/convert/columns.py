"""One HDF5 file in flat columns: the steps of all episodes below each other, `ep_len` and `ep_offset` beside them.

This is what stable-worldmodel reads, so every other top-level data set has one row a step: frames are `pixels`, and a
value of a whole episode is repeated at its steps (gzip makes that cheap). The file's attributes hold our `dataset.json`
and the clock of `action`; with them a file of ours comes back as the data set it was.

Axes: T time, E episodes, H height, W width, C channels, A action.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from ..episode import IMAGE, VECTOR, ArraySpec, Episode, observation_name
from ..info import DatasetInfo, step_bytes
from ..splits import Splits
from .clock import Clock, from_ours, to_ours
from .part import Format, ReadBack
from .source import TAKEN, Wishes, arrays_of, check_common, imported_episode, imported_info

LENGTH, OFFSET = "ep_len", "ep_offset"
PIXELS = "pixels"  # their name of `image`
INFO, CLOCK = "longdream", "action_clock"  # attributes of a file of ours
ROWS, CHUNK_BYTES = 50, 65536  # a compressed chunk has at least so many rows, or bytes
SPLITS = Splits.from_ratio(8, 1, 1)


def columns(clock: Clock) -> Format:
    """Return the format under a clock of actions; "taken-at" is stable-worldmodel's."""
    return Format(partial(_ColumnsWriter, clock=clock), _read_back)


class _ColumnsWriter:
    """A file in the making."""

    def __init__(self, path: Path, info: DatasetInfo, clock: Clock) -> None:
        self.info, self.clock = info, clock
        self.lengths: list[int] = []
        self.file = h5py.File(path, "w")
        self.file.attrs[INFO], self.file.attrs[CLOCK] = json.dumps(info.to_json(), sort_keys=True), clock
        for name, spec in info.arrays.items():
            self.file.create_dataset(
                _column(name),
                shape=(0, *spec.shape),
                maxshape=(None, *spec.shape),
                dtype=spec.dtype,
                chunks=(max(ROWS, CHUNK_BYTES // step_bytes(spec)), *spec.shape),
                compression="gzip",
                compression_opts=1,  # higher levels cost far more time than they save space
            )

    def append(self, index: int, arrays: dict[str, np.ndarray]) -> None:
        """Write an episode below the last one."""
        length, end = len(arrays["reward"]), self.file["reward"].shape[0]
        for name, value in arrays.items():
            if name == "action":
                value = from_ours(value, self.clock)
            column = self.file[_column(name)]
            column.resize(end + length, 0)
            column[end:] = value  # a value of the whole episode is repeated
        self.lengths.append(length)

    def close(self) -> None:
        """Write what says where the episodes are, and close the file."""
        lengths = np.array(self.lengths, np.int64)
        self.file.create_dataset(LENGTH, data=lengths.astype(np.int32))
        self.file.create_dataset(OFFSET, data=np.cumsum(lengths) - lengths)
        self.file.close()


class Columns:
    """The episodes of an HDF5 file: one of ours, or another with `ep_len`, `ep_offset`, `pixels`, `action`, `reward`.

    Args:
        path: of the file.
        wishes: what a file of ours says itself.
        clock: of `action`; a file of ours says that itself.

    Raises:
        ValueError: if it is no such file, or its columns do not fit each other.
    """

    def __init__(self, path: Path, wishes: Wishes, clock: Clock) -> None:
        try:
            self.file = h5py.File(path, "r")
        except OSError as error:
            raise ValueError(f"{path} cannot be read as HDF5 ({error}): is it whole?") from None
        self.path, self.clock = path, clock
        self.lengths, self.offsets = self._table()
        self.context = int(self.lengths[0]) // 2 if wishes.context is None else wishes.context
        self.specs: dict[str, ArraySpec] = {}
        if INFO in self.file.attrs:
            if wishes != Wishes():
                raise ValueError(f"{path} says itself what its context, splits and shards are")
            self.info = DatasetInfo.from_json(json.loads(self.file.attrs[INFO]))
            self.clock, self.specs = self.file.attrs[CLOCK], self.info.arrays
            if len(self.lengths) != self.info.episodes:
                raise ValueError(f"{path} holds {len(self.lengths)} episodes of {self.info.episodes}")
        else:
            self.info = imported_info(path.stem, "h5", self.episode(0), len(self.lengths), wishes, SPLITS)

    def name(self, index: int) -> str:
        """Return the file and the number."""
        return f"{self.path}: episode {index}"

    def episode(self, index: int) -> Episode:
        """Return an episode.

        Raises:
            ValueError: if the file is damaged, or the clock is another.
        """
        start = int(self.offsets[index])
        steps = slice(start, start + int(self.lengths[index]))
        try:
            arrays: dict[str, Any] = {_array(name): self.file[name][steps] for name in self._columns()}
        except OSError as error:
            raise ValueError(f"{self.name(index)} cannot be read: {error}") from None
        check_common(self.name(index), arrays)
        arrays["action"] = to_ours(arrays["action"], self.clock, self.name(index))
        if self.specs:
            return Episode.from_named({name: x if self.specs[name].per_step else x[0] for name, x in arrays.items()})
        obs = arrays.pop(observation_name(arrays))
        extras = {name: arrays.pop(name) for name in set(arrays) - set(TAKEN)}
        marks = {name: arrays.pop(name).astype(bool) for name in ("is_first", "terminal") if name in arrays}
        if len(arrays) > 2:  # action and reward
            taken = ", ".join(sorted(set(arrays) - {"action", "reward"}))
            raise ValueError(f"{self.path}: {taken} means something else in a data set; rename it")
        return imported_episode(self.context, obs, **arrays, **marks, extras=extras)

    def _columns(self) -> list[str]:
        return [name for name in self.file if name not in (LENGTH, OFFSET)]

    def _table(self) -> Any:
        """Return lengths and offsets (E), held against the columns."""
        missing = [name for name in (LENGTH, OFFSET, "action", "reward") if name not in self.file]
        if not {PIXELS, IMAGE, VECTOR} & set(self.file):
            missing.append(PIXELS)
        if missing:
            raise ValueError(f"{self.path} lacks {', '.join(missing)}; it has {', '.join(self.file) or 'nothing'}")
        lengths, offsets = self.file[LENGTH][:].astype(np.int64), self.file[OFFSET][:].astype(np.int64)
        if lengths.shape != offsets.shape or len(lengths) == 0 or lengths.min() < 1 or offsets.min() < 0:
            raise ValueError(f"{self.path}: {LENGTH} and {OFFSET} name no episodes, or not equally many")
        end = int((lengths + offsets).max())
        short = [f"{name} {self.file[name].shape}" for name in self._columns() if len(self.file[name]) < end]
        if short:
            raise ValueError(f"{self.path}: the episodes need {end} rows, these have fewer: {', '.join(short)}")
        return lengths, offsets


def _read_back(path: Path, info: DatasetInfo) -> Iterator[ReadBack]:
    source = Columns(path, Wishes(), "led-to")
    try:
        for index in range(len(source.lengths)):
            yield ReadBack(index, arrays_of(source, index))
    finally:
        source.file.close()


def _column(name: str) -> str:
    return PIXELS if name == IMAGE else name


def _array(column: str) -> str:
    return IMAGE if column == PIXELS else column
