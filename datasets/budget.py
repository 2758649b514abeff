"""How the memory that a loader may take is shared between batches prepared ahead and what is kept for later."""

from __future__ import annotations

import math
from dataclasses import dataclass

from .info import DatasetInfo, step_bytes
from .samplers import Row, row_length


@dataclass(frozen=True)
class Budget:
    """Up to half of the memory for batches ahead, but one at least; the rest for the data set's cache.

    It bounds what waits: batches that are whole or being filled, decoded chunks, decoded small arrays. Beside it there
    are the batch that the consumer uses, of each thread a row's compressed bytes and one chunk, the shards' indices,
    and all that is no data.
    """

    total: float  # bytes
    batch: int  # bytes of one batch
    most: int  # batches ahead where there is room

    @property
    def ahead(self) -> int:
        """How many batches are prepared ahead."""
        return max(1, min(self.most, int(self.total / 2 // self.batch)))

    @property
    def cache(self) -> float:
        """Bytes that the cache may hold."""
        return max(0.0, self.total - self.ahead * self.batch)

    @property
    def is_short(self) -> bool:
        """True where not even one batch fits: it is prepared all the same, and nothing is kept."""
        return self.total < self.batch


def batch_bytes(info: DatasetInfo, rows: list[Row], pin_memory: bool = False) -> int:
    """Return the memory of the batch that `rows` make; of pinned memory, torch takes a power of two for each tensor."""
    steps = sum(row_length(row) for row in rows)
    action = 4 * math.prod(info.arrays["action"].shape)
    sizes = [steps * size for size in (step_bytes(info.observation.spec), action, 4, 4, 1)]  # reward, cont, first
    return sum(1 << (size - 1).bit_length() for size in sizes) if pin_memory else sum(sizes)
