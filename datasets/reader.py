"""Reading a data set: windows and whole episodes, as numpy arrays. Safe under threads, fork and spawn."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Protocol, TypeVar

import numpy as np

from .cache import Cache
from .episode import ArraySpec, Episode, EpisodeSpec
from .files import DatasetError
from .folder import Folder, Where, open_folder
from .frames.recipes import RECIPES
from .frames.renderers import render_views
from .frames.scene import View
from .info import DatasetInfo
from .shard import Shard, committed
from .tar import Tar
from .tar_index import read_index

Result = TypeVar("Result")

OPENERS = 4  # threads that open shards: on a cold or a network disk most of the time is waiting
FAR_OPENERS = 16  # in an object store all of it
TRIES = 10  # to open a replay that is being written


class Piece(Protocol):
    """Some of a data set's episodes, in one place.

    Attributes:
        episodes: (E) int64, which, ascending.
        lengths: (E) int64, their numbers of steps.
    """

    episodes: np.ndarray
    lengths: np.ndarray

    def read(self, name: str, episode: int, start: int, stop: int, out: np.ndarray, goes_on: bool) -> None:
        """Copy steps `start` to `stop` of an array of an episode into `out`; there are such steps.

        If somebody will want the steps from `stop` on (`goes_on`), what is left of its chunk waits in the cache.
        """

    def value(self, name: str, episode: int) -> np.ndarray:
        """Return the value that an array has for a whole episode."""

    def disk_bytes(self, name: str) -> int:
        """Return the size of one array's files in bytes; "": of all."""


class Readable(Protocol):
    """What batches are read from: a data set, or a replay that is still growing."""

    info: DatasetInfo

    def read(
        self, name: str, episode: int, start: int, stop: int, out: np.ndarray | None = None, goes_on: bool = True
    ) -> np.ndarray:
        """As `EpisodeDataset.read`."""


class EpisodeDataset:
    """The episodes of the data set at a place that are there by now. Reading never writes, and holds no file open.

    The replay of an online run may be read while the run goes on: an episode is found again in the larger shard that
    has replaced its own. The oldest episodes may be gone by the time they are asked for.

    Attributes:
        folder: the place.
        info: what `dataset.json` says.
        indices: (E) int64, the episodes present, ascending.
        lengths: (E) int64, their numbers of steps, in the same order.
        cache: what was decoded and is wanted again; whoever has a budget sets its `limit`.

    Raises:
        DatasetError: naming the shard and the file, if one is missing, has the wrong size, or is damaged. What is too
            big to check at once is checked when it is read: a wrong frame is never returned.
    """

    def __init__(self, where: Where) -> None:
        self.folder = open_folder(where)
        self.info = DatasetInfo.read(self.folder)
        if self.info.recipe not in (None, *RECIPES):
            raise DatasetError(
                f"{self.folder}: frames are drawn by a recipe {self.info.recipe!r}, which this version lacks"
            )
        self.cache = Cache()
        self._pieces = _open_pieces(self.folder, self.info, self.cache)
        empty = [np.empty(0, np.int64)]
        episodes = np.concatenate(empty + [piece.episodes for piece in self._pieces])
        order = np.argsort(episodes)  # a tar holds episodes of one split, so those of two tars alternate
        self.indices = episodes[order]
        self.lengths = np.concatenate(empty + [piece.lengths for piece in self._pieces])[order]
        self._owners = np.repeat(np.arange(len(self._pieces)), [len(piece.episodes) for piece in self._pieces])[order]

    def __len__(self) -> int:
        return len(self.indices)

    def split(self, name: str) -> np.ndarray:
        """Return the present episodes of a split: "train", "validation", "test" or "all".

        Raises:
            ValueError: if there is no such split.
        """
        return self.info.splits.select(name, self.indices)

    def length(self, episode: int) -> int:
        """Return the number of steps of an episode."""
        return int(self.lengths[self._row(episode)])

    def extent(self, episode: int) -> EpisodeSpec:
        """Return the lengths of an episode's phases, its own: `info.spec` says what most have."""
        context = int(self.value("context", episode))
        return EpisodeSpec(context, self.length(episode) - context)

    def disk_bytes(self, name: str = "") -> int:
        """Return the size of the shards' files, or of those of one array, in bytes."""
        return sum(piece.disk_bytes(name) for piece in self._pieces)

    def read(
        self,
        name: str,
        episode: int,
        start: int = 0,
        stop: int | None = None,
        out: np.ndarray | None = None,
        goes_on: bool = True,
    ) -> np.ndarray:
        """Return steps `start` to `stop` (exclusive; None: the end) of one array of an episode.

        Args:
            name: of the array: "image", "vector", "action", ...; one with a value per step.
            episode: its index.
            start: first step.
            stop: the step after the last.
            out: (stop-start ...) where to put them, C-contiguous; whole chunks are decoded right into it.
            goes_on: keep what is left of the last chunk: the steps from `stop` on may be wanted next.

        Raises:
            ValueError: if there is no such array, episode or step, or `out` does not fit.
            DatasetError: if the data are damaged.
        """
        spec = self._spec(name, per_step=True)
        row = self._row(episode)
        length = int(self.lengths[row])
        stop = length if stop is None else stop
        if not 0 <= start <= stop <= length:
            raise ValueError(f"steps {start} to {stop} are not in episode {episode}, which has {length}")
        shape = (stop - start, *spec.shape)
        if out is None:
            out = np.empty(shape, spec.dtype)
        elif out.shape != shape or out.dtype != spec.dtype or not out.flags.c_contiguous:
            raise ValueError(f"`out` is {out.dtype} {out.shape}, not a contiguous {spec.dtype} {shape}")
        if start < stop and name in self.info.stored:
            self._of_piece(row, lambda piece: piece.read(name, episode, start, stop, out, goes_on))
        elif start < stop:
            render_views([self.view(episode, start, stop)], self.info.options["renderer"], out)
        return out

    def view(self, episode: int, start: int, stop: int) -> View:
        """Return what decides the frames `start` to `stop` of an episode, in a data set that draws them on reading.

        Raises:
            ValueError: if this data set has its frames stored, or there is no such episode or step.
            DatasetError: if the data are damaged.
        """
        if self.info.recipe is None:
            raise ValueError(f"the frames of {self.folder} are stored, not drawn on reading")
        return RECIPES[self.info.recipe](_Window(self, episode, start, stop), self.info.options)

    def value(self, name: str, episode: int) -> np.ndarray:
        """Return an array that has one value for the whole episode: "context", "seed", "maze_layout", ...

        Raises:
            ValueError: if there is no such array or episode.
            DatasetError: if the data are damaged.
        """
        self._spec(name, per_step=False)
        return self._of_piece(self._row(episode), lambda piece: piece.value(name, episode).copy())

    def episode(self, episode: int) -> Episode:
        """Return a whole episode with all its arrays.

        Raises:
            ValueError: if it is not there.
            DatasetError: if the data are damaged.
        """
        found = {
            name: self.read(name, episode) if spec.per_step else self.value(name, episode)
            for name, spec in self.info.arrays.items()
        }
        return Episode.from_named(found)

    def _spec(self, name: str, per_step: bool) -> ArraySpec:
        spec = self.info.arrays.get(name)
        if spec is None or spec.per_step != per_step:
            kind = "a value per step" if per_step else "one value an episode"
            names = [key for key, spec in self.info.arrays.items() if spec.per_step == per_step]
            raise ValueError(f"there is no array {name!r} with {kind}; there are {', '.join(names)}")
        return spec

    def _of_piece(self, row: int, work: Callable[[Piece], Result]) -> Result:
        """Return what `work` makes of the piece that holds an episode."""
        owner = self._owners[row]
        piece = self._pieces[owner]
        try:
            return work(piece)
        except DatasetError as error:
            if self.info.capacity is None or not isinstance(piece, Shard) or piece.folder.exists():
                raise
            episode = int(self.indices[row])
            places = [p for p in committed(self.folder, self.info) if p.range.first <= episode < p.range.stop]
            if not places:
                raise DatasetError(
                    f"{self.folder}: episode {episode} has left the replay, whose run goes on: run the command again"
                ) from error
            self._pieces[owner] = larger = Shard(places[0].folder, self.info, self.cache)
            return work(larger)

    def _row(self, episode: int) -> int:
        """Return where an episode is in `indices`."""
        row = int(np.searchsorted(self.indices, episode))
        if row == len(self.indices) or self.indices[row] != episode:
            wanted = "" if self.info.capacity is not None else f" of {self.info.episodes}"
            raise ValueError(f"episode {episode} is not in {self.folder}, which holds {len(self)}{wanted}")
        return row


def _open_pieces(folder: Folder, info: DatasetInfo, cache: Cache) -> list[Piece]:
    """Open the tars of a data set, or else its shards."""
    tars = read_index(folder, info)
    if tars:
        known = folder.listed()
        return _all(folder, [partial(Tar, known, name, record, info, cache) for name, record in tars.items()])
    for _ in range(TRIES):
        places = committed(folder, info)
        try:
            return _all(folder, [partial(Shard, place.folder, info, cache) for place in places])
        except DatasetError:
            if info.capacity is None or all(place.folder.exists() for place in places):
                raise  # otherwise its run has just removed a shard: look again
    raise DatasetError(f"{folder}: its run removes shards faster than they can be opened: try again")


def _all(folder: Folder, jobs: Sequence[Callable[[], Piece]]) -> list[Piece]:
    """Open several pieces side by side."""
    with ThreadPoolExecutor(OPENERS if folder.near else FAR_OPENERS) as pool:
        return list(pool.map(lambda job: job(), jobs))


class _Window(Mapping[str, np.ndarray]):
    """The stored arrays of some steps of an episode, read when they are asked for."""

    def __init__(self, dataset: EpisodeDataset, episode: int, start: int, stop: int) -> None:
        self.dataset, self.episode, self.start, self.stop = dataset, episode, start, stop

    def __getitem__(self, name: str) -> np.ndarray:
        spec = self.dataset.info.stored[name]
        if spec.per_step:
            return self.dataset.read(name, self.episode, self.start, self.stop)
        return self.dataset.value(name, self.episode)

    def __iter__(self) -> Iterator[str]:
        return iter(self.dataset.info.stored)

    def __len__(self) -> int:
        return len(self.dataset.info.stored)
