"""A model looks through episodes, whole ones, and what its posterior holds at every step is written down.

Several processes share the work. Which episodes are observed together does not depend on their number, nor on what is
there already, so the features are the same to the bit.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from accelerate import PartialState

from ..datasets.bar import progress_bar
from ..datasets.files import remove_stale
from ..datasets.reader import EpisodeDataset
from ..eval.imagination import INFERENCE, generators
from ..eval.trials import stack
from ..worldmodels.base import Latent, WorldModel
from .features import Features, begin, file_of, key, save, sizes_of


def features(
    model: WorldModel,
    source: EpisodeDataset,
    episodes: Sequence[int],
    origin: dict[str, Any],
    beside: Path,
    *,
    batch_size: int,
    device: torch.device,
    progress: bool = False,
) -> Features:
    """Return the features of episodes, computing those that are not on disk yet.

    Args:
        model: in evaluation mode, on `device`.
        source: the data set.
        episodes: which of it.
        origin: of the features, from `features.origin`.
        beside: the run's folder; they are kept in beside / "features".
        batch_size: episodes observed together.
        device: of the model.
        progress: whether to show a bar.
    """
    state, folder = PartialState(), beside / "features" / key(origin)
    folder.mkdir(parents=True, exist_ok=True)
    if state.is_main_process:
        remove_stale(folder)
    wanted = list(groups(source, episodes, batch_size))
    mine = [group for group in wanted if not all(file_of(folder, episode).exists() for episode in group)]
    state.wait_for_everyone()  # nobody writes before everybody has looked at what there is
    mine = mine[state.process_index :: state.num_processes]
    for group in progress_bar(mine, "features", unit="batch", disable=not (progress and state.is_main_process)):
        latent = observed(model, source, group, origin["seed"], device)
        begin(folder, origin, sizes_of(latent))
        for row, episode in enumerate(group):
            save(folder, episode, Latent(*(x[row] for x in latent)))
    state.wait_for_everyone()
    return Features(folder)


@torch.no_grad()
def observed(
    model: WorldModel, source: EpisodeDataset, group: Sequence[int], seed: int, device: torch.device
) -> Latent:
    """Return the posterior's latents of whole episodes of one length; each draws from a stream of its own."""
    batch = stack([source.episode(episode) for episode in group]).to(device)
    return model.observe(batch, generators=generators(seed, group, INFERENCE)).latent


def groups(source: EpisodeDataset, episodes: Sequence[int], size: int) -> Iterator[list[int]]:
    """Yield up to `size` episodes at a time that follow each other and have one length."""
    group: list[int] = []
    for episode in episodes:
        if group and (len(group) == size or source.length(episode) != source.length(group[0])):
            yield group
            group = []
        group.append(episode)
    if group:
        yield group
