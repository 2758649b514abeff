"""What a training run is fed: which steps of which episodes, and the loader that reads them ahead."""

from __future__ import annotations

import numpy as np
from accelerate import Accelerator

from ..datasets.loader import Loader
from ..datasets.reader import EpisodeDataset
from ..datasets.samplers import Sampler, Streams, WholeTrajectories, Windows
from .train_config import TrainConfig


def build_sampler(
    config: TrainConfig, dataset: EpisodeDataset, episodes: np.ndarray, accelerator: Accelerator
) -> Sampler:
    """Return what says which steps of which training episodes this process trains on."""
    lengths = np.array([dataset.length(int(episode)) for episode in episodes])
    common = episodes, lengths, config.batch_size, config.seed, accelerator.process_index, accelerator.num_processes
    if config.random_windows:
        return Windows(*common, window=config.window)
    if config.window:
        return Streams(*common, window=config.window)
    return WholeTrajectories(*common)


def build_loader(
    config: TrainConfig, dataset: EpisodeDataset, sampler: Sampler, step: int, accelerator: Accelerator
) -> Loader:
    """Return the loader that begins at a step; say so where its memory does not even hold one batch."""
    gpu = accelerator.device if accelerator.device.type == "cuda" else None
    memory = config.cache_gb * 1e9
    loader = Loader(
        dataset, sampler, step, config.loader_threads, memory=memory, pin_memory=gpu is not None, draw_on=gpu
    )
    if loader.budget.is_short:
        accelerator.print(
            f"--cache-gb {config.cache_gb:g} is less than one batch, {loader.budget.batch / 1e9:.2g} GB: one is "
            "prepared ahead all the same, and nothing decoded is kept"
        )
    return loader
