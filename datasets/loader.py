"""From the disk to batches: threads decode ahead (zstd lets go of the interpreter's lock), in a fixed order.

Axes: B batch, T time, H height, W width, C channels, A action.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType

import numpy as np
import torch

from .batch import Batch
from .frames.renderers import MUJOCO, render_on
from .reader import EpisodeDataset
from .samplers import Row, Sampler, Segment, row_length


def whole(dataset: EpisodeDataset, episodes: Iterable[int]) -> list[Row]:
    """Return rows of one whole episode each, for `read_batch`."""
    return [(Segment(int(episode), 0, dataset.length(int(episode))),) for episode in episodes]


def common_length(rows: Sequence[Row]) -> int:
    """Return T, the one length of `rows`.

    Raises:
        ValueError: naming two lengths, if they differ.
    """
    lengths = [row_length(row) for row in rows]
    for number, length in enumerate(lengths):
        if length != lengths[0]:
            raise ValueError(
                f"the rows of a batch must have one length: row 0 (of episode {rows[0][0].episode}) has {lengths[0]} "
                f"steps, row {number} (of episode {rows[number][0].episode}) has {length}"
            )
    return lengths[0]


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
    length = common_length(rows)
    if draw_on is not None and dataset.info.recipe is not None and dataset.info.options["renderer"] != MUJOCO:
        views = [dataset.view(*segment) for row in rows for segment in row]
        image = render_on(views, draw_on).unflatten(0, (-1, length))  # (B T H W C)
    else:
        image = _stack(dataset, "image", rows, length, pin_memory)  # (B T H W C)
    small = [
        _stack(dataset, "action", rows, length).float(),
        _stack(dataset, "reward", rows, length),
        1.0 - _stack(dataset, "terminal", rows, length).float(),
        _stack(dataset, "is_first", rows, length),
    ]
    return Batch(image.permute(0, 1, 4, 2, 3), *(x.pin_memory() if pin_memory else x for x in small))


def _stack(
    dataset: EpisodeDataset, name: str, rows: Sequence[Row], length: int, pin_memory: bool = False
) -> torch.Tensor:
    """Decode one array of several rows into one fresh tensor (B T ...)."""
    spec = dataset.info.arrays[name]
    dtype = torch.from_numpy(np.empty(0, spec.dtype)).dtype
    stacked = torch.empty((len(rows), length, *spec.shape), dtype=dtype, pin_memory=pin_memory)
    for row, out in zip(rows, stacked.numpy(), strict=True):
        filled = 0
        for segment in row:
            end = filled + segment.stop - segment.start
            dataset.read(name, *segment, out=out[filled:end])
            filled = end
    return stacked


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
        depth: how many batches are prepared ahead.
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
        pin_memory: bool = False,
        draw_on: torch.device | None = None,
    ) -> None:
        if threads < 1 or depth < 1:
            raise ValueError(f"the loader needs threads and depth of 1 or more, not {threads} and {depth}")
        self.dataset, self.sampler, self.pin_memory, self.draw_on = dataset, sampler, pin_memory, draw_on
        self._next_step, self._depth = start_step, depth
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="loader")
        self._ahead: deque[Future[Batch]] = deque()

    def __enter__(self) -> Loader:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __iter__(self) -> Iterator[Batch]:
        return self

    def __next__(self) -> Batch:
        while len(self._ahead) < self._depth:
            self._ahead.append(self._pool.submit(self._read, self.sampler.batch(self._next_step)))
            self._next_step += 1
        return self._ahead.popleft().result()

    def close(self) -> None:
        """End the threads; what they were preparing is dropped."""
        self._ahead.clear()
        self._pool.shutdown(wait=True, cancel_futures=True)

    def _read(self, rows: list[Row]) -> Batch:
        return read_batch(self.dataset, rows, self.pin_memory, self.draw_on)
