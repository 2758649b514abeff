"""A batch in the making: memory of its own, which several threads may fill side by side.

Axes: B batch, T time, H height, W width, C channels, F features, A action.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache, partial

import torch

from .batch import Batch
from .episode import IMAGE
from .frames.renderers import MUJOCO, render_on
from .reader import EpisodeDataset, Readable
from .samplers import Row, row_length


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


@contextmanager
def beside(device: torch.device) -> Iterator[None]:
    """Compute beside what other threads have asked of a GPU, and have it done on leaving.

    Drawing waits for its own results, and would wait for a whole training step in the stream that all threads share.
    """
    if device.type != "cuda":
        yield
        return
    stream = _stream(device)
    with torch.cuda.stream(stream):
        yield
    stream.synchronize()


@lru_cache
def _stream(device: torch.device) -> torch.cuda.Stream:
    """Return the one stream in which all frames are drawn: what one picture leaves free is there for the next."""
    return torch.cuda.Stream(device)


class Draft:
    """A batch that is still empty; `batch` is whole when all `tasks` were called, in any order, by any thread.

    Args:
        dataset: as of `read_batch`.
        rows: as of `read_batch`.
        pin_memory: as of `read_batch`.
        draw_on: as of `read_batch`.
        goes_on: each row goes on in a later batch: what is left of its last chunk is kept.

    Raises:
        ValueError: if the lengths differ.
    """

    def __init__(
        self,
        dataset: Readable,
        rows: Sequence[Row],
        pin_memory: bool,
        draw_on: torch.device | None,
        goes_on: bool,
    ) -> None:
        self.dataset, self.rows, self.draw_on, self.goes_on = dataset, rows, draw_on, goes_on
        self.length, info = common_length(rows), dataset.info
        self.draws = draw_on is not None and info.recipe is not None and info.options["renderer"] != MUJOCO

        def empty(dtype: torch.dtype, shape: tuple[int, ...] = ()) -> torch.Tensor:
            return torch.empty((len(rows), self.length, *shape), dtype=dtype, pin_memory=pin_memory)

        self.name, spec = info.observation
        dtype = torch.uint8 if self.name == IMAGE else torch.float32
        self.obs = None if self.draws else empty(dtype, spec.shape)  # (B T H W C), (B T F)
        self.action = empty(torch.float32, info.arrays["action"].shape)  # (B T A)
        self.reward, self.cont = empty(torch.float32), empty(torch.float32)  # (B T)
        self.first = empty(torch.bool)  # (B T)
        self._obs = None if self.obs is None else self.obs.numpy()
        self._small = [x.numpy() for x in (self.action, self.reward, self.cont, self.first)]

    @property
    def tasks(self) -> list[Callable[[], None]]:
        """What is to be done: a row each; frames that are drawn on a device are drawn together, first."""
        rows: list[Callable[[], None]] = [partial(self._fill, number) for number in range(len(self.rows))]
        return [self._draw, *rows] if self.draws else rows

    @property
    def batch(self) -> Batch:
        """The batch. Images (B T C H W) are a view of the frames as they are decoded."""
        assert self.obs is not None, "not drawn yet"
        obs = self.obs.permute(0, 1, 4, 2, 3) if self.name == IMAGE else self.obs
        return Batch(obs, self.action, self.reward, self.cont, self.first)

    def _draw(self) -> None:
        assert self.draw_on is not None
        assert isinstance(self.dataset, EpisodeDataset)  # a replay's frames are stored
        views = [self.dataset.view(*segment) for row in self.rows for segment in row]
        with beside(self.draw_on):
            self.obs = render_on(views, self.draw_on).unflatten(0, (-1, self.length))

    def _fill(self, number: int) -> None:
        """Read one row."""
        action, reward, cont, first = (x[number] for x in self._small)  # (T A), (T)
        start = 0
        for segment in self.rows[number]:
            there = slice(start, start + segment.stop - segment.start)
            if self._obs is not None:
                self.dataset.read(self.name, *segment, out=self._obs[number, there], goes_on=self.goes_on)
            action[there] = self.dataset.read("action", *segment)
            reward[there] = self.dataset.read("reward", *segment)
            cont[there] = ~self.dataset.read("terminal", *segment)
            first[there] = self.dataset.read("is_first", *segment)
            start = there.stop
