"""Checkpoints of an online run: the world model as in any run's, and beside it all that the run goes on from.

runs/x/checkpoints/0000020000/model.safetensors, config.json   the world model: `load_model`, `evaluate`, `probe`
runs/x/checkpoints/0000020000/dreamer.pt                       actor and critic, optimisers, and of every process its
                                                               environments, replay, beliefs, means and generators
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import torch
from accelerate.utils import gather_object

from ..worldmodels.checkpoint import CHECKPOINTS, describe, load_weights, read_state, save_model, whole_folder
from ..worldmodels.config import to_dict
from .config import DreamerConfig
from .learner import Learner

STATE = "dreamer.pt"
ARRAY = "numpy array"


def save(config: DreamerConfig, learner: Learner, shared: dict[str, Any], own: dict[str, Any]) -> None:
    """Write a checkpoint from which the run goes on exactly, then drop the older ones; all processes call it.

    Args:
        config: of the run.
        learner: its weights and optimisers.
        shared: what all processes have in common, with "step" and "seconds" in it.
        own: what this process alone has.
    """
    processes = gather_object([_packed(own)])
    if not learner.accelerator.is_main_process:
        return
    folders = config.out / CHECKPOINTS
    older = list(folders.glob("[0-9]*"))
    final = folders / f"{shared['step']:010d}"
    what = describe(config.world_model, **shared, parameters=learner.parameters, dreamer=to_dict(config))
    with whole_folder(final) as folder:
        save_model(folder, learner.mind.model, what)
        torch.save({**shared, **learner.state(), "processes": processes}, folder / STATE)
    for folder in older:
        if folder != final:
            shutil.rmtree(folder)


def read(folder: Path, learner: Learner) -> dict[str, Any]:
    """Put the learner back to where `save` was called; return what was shared, with this process' "own".

    Raises:
        ValueError: another number of processes saved it, or it is damaged.
    """
    load_weights(learner.mind.model, folder)
    state = read_state(folder / STATE)
    there, here = len(state["processes"]), learner.accelerator.num_processes
    if there != here:
        raise ValueError(
            f"{folder} was saved by {there} processes and cannot go on exactly with {here}: launch {there}"
        )
    learner.restore(state)
    return {**state, "own": _unpacked(state["processes"][learner.accelerator.process_index])}


def _packed(value: Any) -> Any:
    """Return a state with its numpy arrays as tensors, marked: torch reads those without trusting the file."""
    if isinstance(value, np.ndarray):
        return {ARRAY: torch.from_numpy(value.copy())}  # in C's order, and a scalar stays one
    if isinstance(value, dict):
        return {key: _packed(part) for key, part in value.items()}
    if isinstance(value, np.generic):
        return value.item()
    return [_packed(part) for part in value] if isinstance(value, list | tuple) else value


def _unpacked(value: Any) -> Any:
    """Undo `_packed`; tuples have become lists."""
    if isinstance(value, dict):
        if set(value) == {ARRAY}:
            return value[ARRAY].numpy()
        return {key: _unpacked(part) for key, part in value.items()}
    return [_unpacked(part) for part in value] if isinstance(value, list) else value
