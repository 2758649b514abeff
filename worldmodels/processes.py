"""What the processes of a run must have alike, and what each has of its own: its noise and the rows it carries on."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from accelerate.utils import gather_object
from torch import Tensor
from torch.utils._pytree import tree_flatten, tree_leaves, tree_unflatten

from ..datasets.reader import EpisodeDataset
from .base import State
from .config import to_dict
from .device import generator_state, restore_generator, spawned_seed
from .train_config import TrainConfig, flat

# settings that may differ from node to node
OF_A_NODE = {"data", "out", "config", "device", "cpu_threads", "loader_threads", "cache_gb"}
GENERATORS, CARRIES = "generators", "carries"  # of every process in turn; a carry is a list of leaves (rows ...)


def check_alike(accelerator: Accelerator, facts: dict[str, Any]) -> None:
    """Raise ValueError, in every process, where one sees other facts than the first: nodes may hold different things.

    Args:
        accelerator: of this process.
        facts: by what they are facts of; small, and comparable.
    """
    seen = gather_object([facts])
    for rank, theirs in enumerate(seen):
        for name, value in seen[0].items():
            if theirs[name] != value:
                raise ValueError(
                    f"{name}: {value} in process 0, but {theirs[name]} in process {rank}: start all nodes with one "
                    "command, the same data, and an --out that all of them see"
                )


def facts(config: TrainConfig, dataset: EpisodeDataset, checkpoint: Path | None) -> dict[str, Any]:
    """Return what `check_alike` has to look at: the command line, the episodes, and where the run goes on."""
    settings = flat(to_dict(config))
    digest = hashlib.sha256(dataset.indices.tobytes() + dataset.lengths.tobytes() + repr(dataset.info).encode())
    return {f"--{name.replace('_', '-')}": value for name, value in settings.items() if name not in OF_A_NODE} | {
        "episodes in --data": f"{len(dataset)}, sha256:{digest.hexdigest()[:12]}",
        "newest checkpoint in --out": checkpoint.name if checkpoint else "none",
    }


def gather_own(accelerator: Accelerator, carry: State | None) -> dict[str, Any]:
    """Return what has to be saved of every process, in all of them; `carry` is None where nothing is carried."""
    leaves = [] if carry is None else [[leaf.cpu() for leaf in tree_leaves(carry)]]
    return {GENERATORS: gather_object([generator_state(accelerator.device)]), CARRIES: gather_object(leaves)}


def restore_noise(saved: dict[str, Any], accelerator: Accelerator, seed: int, step: int) -> None:
    """Have latents drawn as they would have been without a stop; by another number of processes, with new noise."""
    generators = saved[GENERATORS]
    if len(generators) == accelerator.num_processes:
        restore_generator(generators[accelerator.process_index], accelerator.device)
        return
    accelerator.print(
        f"saved by {len(generators)} processes, goes on with {accelerator.num_processes}: weights, batches and "
        "learning rate are the same, the latents' noise is not what it would have been"
    )
    torch.manual_seed(spawned_seed(seed, step, accelerator.process_index))


def restore_carry(saved: dict[str, Any], initial: State, rows: range, device: torch.device) -> State:
    """Return the state that some rows of the global batch carry on, whichever processes they were in.

    Args:
        saved: by `gather_own`; processes hold the rows in order.
        initial: a state, for its structure.
        rows: of the global batch.
        device: where to.
    """
    leaves: list[Tensor] = [torch.cat(parts)[rows.start : rows.stop] for parts in zip(*saved[CARRIES], strict=True)]
    return tree_unflatten([leaf.clone().to(device) for leaf in leaves], tree_flatten(initial)[1])
