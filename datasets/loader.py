"""From the disk to batches: threads decode ahead (zstd lets go of the interpreter's lock), in a fixed order.

Axes: B batch, T time, H height, W width, C channels, A action.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType

import numpy as np
import torch

from .batch import Batch
from .frames.renderers import MUJOCO, render_on
from .reader import EpisodeDataset
from .samplers import WholeTrajectories


def common_length(dataset: EpisodeDataset, episodes: Sequence[int] | np.ndarray) -> int:
    """Return T, the one length of `episodes`.

    Raises:
        ValueError: naming two lengths, if they differ.
    """
    lengths = dataset.lengths[np.searchsorted(dataset.indices, np.asarray(episodes))]
    other = np.flatnonzero(lengths != lengths[0])
    if len(other):
        raise ValueError(
            f"whole trajectories must have one length: episode {episodes[0]} has {lengths[0]} steps, "
            f"episode {episodes[other[0]]} has {lengths[other[0]]}"
        )
    return int(lengths[0])


def read_batch(
    dataset: EpisodeDataset,
    episodes: Sequence[int] | np.ndarray,
    pin_memory: bool = False,
    draw_on: torch.device | None = None,
) -> Batch:
    """Read whole episodes of one length side by side.

    Args:
        dataset: where from.
        episodes: which, B of them.
        pin_memory: put the batch where a GPU fetches it without waiting.
        draw_on: a device. Where a data set has its frames drawn on reading by the ray caster, draw them there, all at
            once, and leave them there: the same bytes. Other data sets are read as ever.

    Returns:
        A batch (B T ...). `obs` (B T C H W) is a view of the frames as they are decoded, (B T H W C): channels last.

    Raises:
        ValueError: if the lengths differ.
        DatasetError: if the data are damaged.
    """
    length = common_length(dataset, episodes)
    if draw_on is not None and dataset.info.recipe is not None and dataset.info.options["renderer"] != MUJOCO:
        views = [dataset.view(int(episode), 0, length) for episode in episodes]
        image = render_on(views, draw_on).unflatten(0, (-1, length))  # (B T H W C)
    else:
        image = _stack(dataset, "image", episodes, length, pin_memory)  # (B T H W C)
    small = [
        _stack(dataset, "action", episodes, length).float(),
        _stack(dataset, "reward", episodes, length),
        1.0 - _stack(dataset, "terminal", episodes, length).float(),
        _stack(dataset, "is_first", episodes, length),
    ]
    return Batch(image.permute(0, 1, 4, 2, 3), *(x.pin_memory() if pin_memory else x for x in small))


def _stack(
    dataset: EpisodeDataset, name: str, episodes: Sequence[int] | np.ndarray, length: int, pin_memory: bool = False
) -> torch.Tensor:
    """Decode one array of several episodes into one fresh tensor (B T ...)."""
    spec = dataset.info.arrays[name]
    dtype = torch.from_numpy(np.empty(0, spec.dtype)).dtype
    stacked = torch.empty((len(episodes), length, *spec.shape), dtype=dtype, pin_memory=pin_memory)
    rows = stacked.numpy()
    for row, episode in enumerate(episodes):
        dataset.read(name, int(episode), 0, length, out=rows[row])
    return stacked


class Loader:
    """An endless iterator over the batches that a sampler names, `start_step` first.

    Use it as a context manager: on leaving, its threads end. Every batch has its own memory, so a consumer may keep as
    many as it likes; pinned memory comes from torch's own cache. What fails while reading is raised by `next`, for the
    batch it belongs to.

    Args:
        dataset: where from.
        sampler: which episodes, by step.
        start_step: the first step.
        threads: how many decode.
        depth: how many batches are prepared ahead.
        pin_memory: put the batches where a GPU fetches them without waiting.
        draw_on: where to draw frames that are drawn on reading, see `read_batch`.

    Raises:
        ValueError: if the sampler's episodes have more than one length.
    """

    def __init__(
        self,
        dataset: EpisodeDataset,
        sampler: WholeTrajectories,
        start_step: int = 0,
        threads: int = 2,
        depth: int = 3,
        pin_memory: bool = False,
        draw_on: torch.device | None = None,
    ) -> None:
        if threads < 1 or depth < 1:
            raise ValueError(f"the loader needs threads and depth of 1 or more, not {threads} and {depth}")
        common_length(dataset, sampler.episodes)
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
            self._ahead.append(self._pool.submit(self._read, self._next_step))
            self._next_step += 1
        return self._ahead.popleft().result()

    def close(self) -> None:
        """End the threads; what they were preparing is dropped."""
        self._ahead.clear()
        self._pool.shutdown(wait=True, cancel_futures=True)

    def _read(self, step: int) -> Batch:
        return read_batch(self.dataset, self.sampler.batch(step), self.pin_memory, self.draw_on)
