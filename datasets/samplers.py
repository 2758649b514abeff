"""Which episodes make batch number `step`: pure functions, so all processes agree and a run can go on anywhere.

Axes: B batch.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np


class WholeTrajectories:
    """Whole episodes in random order, each exactly once an epoch.

    Global batches are cut from the concatenation of the epochs' permutations, so a batch may span two epochs and none
    is ever short; each rank takes its contiguous share. There is no state to save: a batch depends on (seed, step,
    rank, world_size) alone, and a run that goes on at step k just asks for batch k.

    Args:
        episodes: their indices.
        batch_size: B, the global batch, summed over the ranks.
        seed: of the permutations.
        rank: of this process.
        world_size: number of processes.

    Raises:
        ValueError: if there are no episodes, or the batch cannot be shared equally.
    """

    def __init__(
        self, episodes: np.ndarray, batch_size: int, seed: int, rank: int = 0, world_size: int = 1
    ) -> None:  # fmt: skip
        if len(episodes) == 0:
            raise ValueError("there are no episodes to sample from: this split is empty")
        if batch_size < 1 or batch_size % world_size:
            raise ValueError(f"batch_size {batch_size} cannot be shared by {world_size} processes: make it a multiple")
        if not 0 <= rank < world_size:
            raise ValueError(f"rank {rank} is not one of {world_size} processes")
        self.episodes = np.array(episodes, np.int64)
        self.batch_size, self.seed, self.rank, self.world_size = batch_size, seed, rank, world_size
        self._permutation = lru_cache(maxsize=2)(self._epoch)

    def batch(self, step: int) -> np.ndarray:
        """Return this rank's episodes (B/world_size) of batch `step`, counted from 0."""
        share = self.batch_size // self.world_size
        start = step * self.batch_size + self.rank * share
        return np.array([self._at(position) for position in range(start, start + share)])

    def _at(self, position: int) -> np.int64:
        epoch, place = divmod(position, len(self.episodes))
        return self._permutation(epoch)[place]

    def _epoch(self, epoch: int) -> np.ndarray:
        generator = np.random.default_rng(np.random.SeedSequence(self.seed, spawn_key=(epoch,)))
        return generator.permutation(self.episodes)
