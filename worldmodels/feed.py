"""What a training run is fed: which steps of which episodes, and the loader that reads them ahead."""

from __future__ import annotations

import numpy as np
import torch
from accelerate import Accelerator

from ..datasets.batch import Batch
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


class Upload:
    """Takes batches to a device; to a GPU on a stream of their own, while it still computes the step before.

    The host is ahead of the GPU, since nothing in a step makes it wait: it asks for a batch long before the GPU is
    there, and the copy from pinned memory runs beside the computation. The GPU waits for the copy alone.
    """

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.stream = torch.cuda.Stream(device) if device.type == "cuda" else None

    def __call__(self, batch: Batch) -> Batch:
        """Return the batch on the device, for use in the current stream."""
        if self.stream is None:
            return batch.to(self.device)
        with torch.cuda.stream(self.stream):
            moved = batch.to(self.device)
        current = torch.cuda.current_stream(self.device)
        current.wait_stream(self.stream)
        for tensor in moved.tensors:  # its memory is not given away before this stream, too, has done with it
            tensor.record_stream(current)
        return moved


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
