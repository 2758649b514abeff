"""From the disk to batches: threads decode ahead (zstd lets go of the interpreter's lock), in a fixed order.

Axes: B batch, T time, H height, W width, C channels, A action.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import NamedTuple

import torch

from .batch import Batch
from .budget import Budget, batch_bytes
from .draft import Draft
from .reader import EpisodeDataset
from .samplers import Row, Sampler, Segment

MEMORY = 1e9  # bytes that a loader may take where nobody says how many


def whole(dataset: EpisodeDataset, episodes: Iterable[int]) -> list[Row]:
    """Return rows of one whole episode each, for `read_batch`."""
    return [(Segment(int(episode), 0, dataset.length(int(episode))),) for episode in episodes]


def read_batch(
    dataset: EpisodeDataset, rows: Sequence[Row], pin_memory: bool = False, draw_on: torch.device | None = None
) -> Batch:
    """Read rows of one length side by side.

    Args:
        dataset: where from.
        rows: B of them, as a sampler or `whole` names them.
        pin_memory: put the batch where a GPU fetches it without waiting.
        draw_on: a device. Where a data set has its frames drawn on reading by the ray caster, draw them there, all at
            once, and leave them there: the same bytes. Other data sets are read as ever.

    Returns:
        A batch (B T ...). `obs` (B T C H W) is a view of the frames as they are decoded, (B T H W C): channels last.

    Raises:
        ValueError: if the lengths differ.
        DatasetError: if the data are damaged.
    """
    draft = Draft(dataset, rows, pin_memory, draw_on, goes_on=False)
    for task in draft.tasks:
        task()
    return draft.batch


class _Pending(NamedTuple):
    """A batch that threads are working on."""

    draft: Draft
    parts: list[Future[None]]

    def result(self) -> Batch:
        """Wait until it is whole."""
        for part in self.parts:
            part.result()
        return self.draft.batch


class Loader:
    """An endless iterator over the batches that a sampler names, `start_step` first.

    Use it as a context manager: on leaving, its threads end. Every batch has its own memory, so a consumer may keep as
    many as it likes; pinned memory comes from torch's own cache. What fails while reading is raised by `next`, for the
    batch it belongs to.

    Args:
        dataset: where from.
        sampler: which rows, by step; it is asked by the consumer's thread alone.
        start_step: the first step.
        threads: how many decode.
        depth: how many batches are prepared ahead, at most.
        memory: bytes for those and for the data set's cache, whose limit it sets; see `Budget`.
        pin_memory: put the batches where a GPU fetches them without waiting.
        draw_on: where to draw frames that are drawn on reading, see `read_batch`.

    Raises:
        ValueError: if there is to be no thread, or no batch ahead.
    """

    def __init__(
        self,
        dataset: EpisodeDataset,
        sampler: Sampler,
        start_step: int = 0,
        threads: int = 2,
        depth: int = 3,
        memory: float = MEMORY,
        pin_memory: bool = False,
        draw_on: torch.device | None = None,
    ) -> None:
        if threads < 1 or depth < 1:
            raise ValueError(f"the loader needs threads and depth of 1 or more, not {threads} and {depth}")
        self.dataset, self.sampler, self.pin_memory, self.draw_on = dataset, sampler, pin_memory, draw_on
        self.budget = Budget(memory, batch_bytes(dataset.info, sampler.batch(start_step), pin_memory), depth)
        dataset.cache.limit = self.budget.cache
        self._next_step = start_step
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="loader")
        self._ahead: deque[_Pending] = deque()

    def __enter__(self) -> Loader:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __iter__(self) -> Iterator[Batch]:
        return self

    def __next__(self) -> Batch:
        while len(self._ahead) < self.budget.ahead:
            self._ahead.append(self._begin(self.sampler.batch(self._next_step)))
            self._next_step += 1
        return self._ahead.popleft().result()

    def close(self) -> None:
        """End the threads; what they were preparing is dropped."""
        self._ahead.clear()
        self._pool.shutdown(wait=True, cancel_futures=True)

    def _begin(self, rows: list[Row]) -> _Pending:
        """Have a batch read, row by row: in the rows' order, so that each finds what the batch before has left it."""
        draft = Draft(self.dataset, rows, self.pin_memory, self.draw_on, self.sampler.carries)
        return _Pending(draft, [self._pool.submit(task) for task in draft.tasks])
