"""Checkpoints: weights as safetensors beside their configuration as JSON; a run folder; loading with no training code.

runs/x/config.json              the resolved training configuration and where it ran
runs/x/metrics.jsonl            one JSON object a line
runs/x/best/                    model.safetensors + config.json: the best validation loss so far
runs/x/checkpoints/00001000/    the same, and trainer.pt, from which training goes on exactly
"""

from __future__ import annotations

import json
import os
import pickle
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from .base import WorldModel
from .config import from_dict, to_dict
from .families import FAMILIES, family_of

FORMAT = 2  # 1: before 0.2, when a model's configuration had other fields
WEIGHTS, CONFIG, BEST, CHECKPOINTS = "model.safetensors", "config.json", "best", "checkpoints"
TRAINER_STATE = "trainer.pt"  # of a checkpoint from which training goes on


class LoadedModel(NamedTuple):
    """A model read from disk, in evaluation mode."""

    model: WorldModel
    config: dict[str, Any]  # the checkpoint's config.json: "step", "world_model", "train", ...
    path: Path  # the checkpoint folder it came from


@contextmanager
def whole_folder(final: Path) -> Iterator[Path]:
    """Write into a folder that appears under its final name only when it is whole; an older one is replaced."""
    part = final.with_name(f".{final.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    yield part
    for file in part.iterdir():
        with file.open("rb") as handle:
            os.fsync(handle.fileno())
    old = final.with_name(f".{final.name}.old")
    shutil.rmtree(old, ignore_errors=True)
    if final.exists():
        final.rename(old)
    part.rename(final)
    parent = os.open(final.parent, os.O_RDONLY)
    os.fsync(parent)  # before anything older is removed
    os.close(parent)
    shutil.rmtree(old, ignore_errors=True)


def save_model(folder: Path, model: WorldModel, config: dict[str, Any]) -> None:
    """Write weights and configuration into an existing folder."""
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in model.state_dict().items()}
    save_file(tensors, folder / WEIGHTS)
    (folder / CONFIG).write_text(json.dumps({"format": FORMAT, **config}, indent=2))


def save_best(run: Path, model: WorldModel, config: dict[str, Any]) -> None:
    """Replace the best model of a run folder."""
    with whole_folder(run / BEST) as folder:
        save_model(folder, model, config)


def save_training(run: Path, model: WorldModel, config: dict[str, Any], state: dict[str, Any]) -> None:
    """Write a checkpoint, named by its step, from which training goes on exactly; then drop the older ones."""
    folders = run / CHECKPOINTS
    older = list(folders.glob("[0-9]*"))
    final = folders / f"{config['step']:08d}"
    with whole_folder(final) as folder:
        save_model(folder, model, config)
        torch.save(state, folder / TRAINER_STATE)
    for folder in older:
        if folder != final:
            shutil.rmtree(folder)


def describe(world_model: Any, step: int, **more: Any) -> dict[str, Any]:
    """Return what a checkpoint's config.json says."""
    return {"family": family_of(world_model), "world_model": to_dict(world_model), "step": step, **more}


def latest(run: Path) -> Path | None:
    """Return the newest training checkpoint of a run folder, if there is one."""
    folders = sorted(path for path in (run / CHECKPOINTS).glob("[0-9]*") if (path / WEIGHTS).exists())
    return folders[-1] if folders else None


def find(path: Path) -> Path:
    """Return the checkpoint folder that `path` means: itself, or a run folder's best, else its newest.

    Raises:
        ValueError: there is no checkpoint.
    """
    if (path / WEIGHTS).exists():
        return path
    # `.best.old` is what a crash between the two renames of `whole_folder` leaves
    for candidate in (path / BEST, path / f".{BEST}.old", latest(path)):
        if candidate is not None and (candidate / WEIGHTS).exists():
            return candidate
    raise ValueError(f"{path} holds no checkpoint: neither {WEIGHTS} nor {BEST}/ nor {CHECKPOINTS}/ is there")


def load_weights(model: WorldModel, folder: Path) -> None:
    """Read the weights of a checkpoint folder into a model.

    Raises:
        ValueError: the file is damaged, or its weights are not this model's.
    """
    try:
        model.load_state_dict(load_file(folder / WEIGHTS))
    except (RuntimeError, SafetensorError) as error:
        raise ValueError(f"{folder / WEIGHTS} does not fit its configuration: {error}") from error


def read_state(path: Path) -> dict[str, Any]:
    """Read the file of a checkpoint from which training goes on.

    Raises:
        ValueError: the file is damaged.
    """
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except (RuntimeError, EOFError, pickle.UnpicklingError) as error:
        raise ValueError(f"{path} is damaged: remove {path.parent}, and the run begins anew") from error


def load_model(path: str | Path, device: str | torch.device = "cpu") -> LoadedModel:
    """Load a world model for evaluation.

    Args:
        path: a run folder (its best checkpoint is taken) or a checkpoint folder.
        device: where the weights go.

    Raises:
        ValueError: there is no checkpoint, its format is newer, or weights and configuration do not fit.
    """
    folder = find(Path(path))
    config = json.loads((folder / CONFIG).read_text())
    if (found := config.get("format", 0)) != FORMAT:
        mend = "update longdream" if found > FORMAT else "evaluate it with the version that trained it, or train again"
        raise ValueError(f"{folder} has checkpoint format {found}, this version reads {FORMAT}: {mend}")
    if config["family"] not in FAMILIES:
        raise ValueError(f"{folder} is of the family {config['family']!r}; known are {', '.join(FAMILIES)}")
    family = FAMILIES[config["family"]]
    model = family.model(from_dict(family.config, config["world_model"]))
    load_weights(model, folder)
    return LoadedModel(model.to(device).eval(), config, folder)
