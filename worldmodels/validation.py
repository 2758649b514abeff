"""The validation loss: whole trajectories from a fresh state, however a run is trained, so that losses compare."""

from __future__ import annotations

from itertools import groupby

import numpy as np
import torch
from accelerate import Accelerator
from accelerate.utils import gather_object

from ..datasets.loader import read_batch, whole
from ..datasets.reader import EpisodeDataset
from ..datasets.samplers import Row, row_length
from .base import WorldModel
from .device import spawned_seed


def batches_of(dataset: EpisodeDataset, episodes: np.ndarray, size: int) -> list[list[Row]]:
    """Return whole episodes, up to `size` of one length a batch."""
    rows = sorted(whole(dataset, episodes), key=row_length)
    alike = [list(group) for _, group in groupby(rows, row_length)]
    return [group[start : start + size] for group in alike for start in range(0, len(group), size)]


@torch.no_grad()
def validate(
    model: WorldModel, dataset: EpisodeDataset, batches: list[list[Row]], seed: int, accelerator: Accelerator
) -> dict[str, float]:
    """Return the loss and its terms, averaged over the episodes; all processes share the work and return the same.

    Latents are drawn from a seed of each batch's own, and training's generators are left as they were.
    """
    sums: dict[str, torch.Tensor] = {}
    devices = [accelerator.device] if accelerator.device.type == "cuda" else []
    with torch.random.fork_rng(devices):
        for index in range(accelerator.process_index, len(batches), accelerator.num_processes):
            torch.manual_seed(spawned_seed(seed, index))
            batch = read_batch(dataset, batches[index]).to(accelerator.device)
            loss = model(batch)
            row_sum = loss.total * model.counted(batch).sum() / len(batch.first)
            for name, term in {"loss": loss.total, **loss.terms, "row_sum": row_sum}.items():
                sums[name] = sums.get(name, torch.zeros(())).double() + term.double().cpu() * len(batches[index])
    gathered = gather_object([{name: value.item() for name, value in sums.items()}])
    names = {name: None for part in gathered for name in part}
    episodes = sum(map(len, batches))
    return {name: sum(part.get(name, 0.0) for part in gathered) / episodes for name in names}
