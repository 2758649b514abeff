"""The features of episodes on disk, beside the checkpoint: what the posterior of every step holds, computed once.

runs/x/features/<key>/features.json     whose features these are
runs/x/features/<key>/000123.npy        one row a step: h as float16, and for each latent the class that was drawn

A step of `s4wm-3d` takes 1,056 bytes like this, and 6,144 as float32 with one-hot latents. The key is a hash over
weights, configuration, data and seed: nothing is ever mistaken for something else's features. Probes read through
memory maps.

Axes: B batch, T time, N steps, D deterministic width, K latents, V classes per latent, F = D + K*V features.
"""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from accelerate.utils import gather_object
from torch import Tensor

from ..datasets.files import flush, remove, scratch
from ..provenance import data_hash
from ..worldmodels.base import Latent
from ..worldmodels.checkpoint import WEIGHTS, LoadedModel, find, load_model

FORMAT = 1  # of the files; part of the key
ABOUT = "features.json"


class Sizes(NamedTuple):
    """Sizes of a model's latents."""

    deter: int  # D
    latents: int  # K
    classes: int  # V

    @property
    def row(self) -> np.dtype[Any]:
        """Type of one step on disk."""
        classes = np.min_scalar_type(max(self.classes - 1, 0))
        return np.dtype([("deter", "<f2", (self.deter,)), ("stoch", classes.newbyteorder("<"), (self.latents,))])


class Subject(NamedTuple):
    """A model that is probed."""

    loaded: LoadedModel
    weights: str  # a hash of them


def load(path: Path, device: torch.device) -> Subject:
    """Load the model of a run or a checkpoint, and tell by a hash which weights it has, on every process the same.

    Raises:
        ValueError: there is no checkpoint, it does not fit, or it was replaced meanwhile: the run is still in training.
    """
    checkpoint = find(path)
    before = digest(checkpoint)
    loaded = load_model(checkpoint, device)
    if len(set(gather_object([before, digest(checkpoint)]))) > 1:
        raise ValueError(f"{checkpoint} was replaced while it was read; give the same command again")
    return Subject(loaded, before)


def digest(checkpoint: Path) -> str:
    """Return a hash of a checkpoint's weights."""
    with (checkpoint / WEIGHTS).open("rb") as file:
        return f"sha256:{hashlib.file_digest(file, 'sha256').hexdigest()}"


def origin(subject: Subject, data: str, seed: int) -> dict[str, Any]:
    """Return what decides the features of every episode: the model, the data set, the seed of the draws."""
    model = {"weights": subject.weights, "world_model": subject.loaded.config["world_model"]}
    return {"format": FORMAT, **model, "data": data_hash(data), "seed": seed}


def key(origin: dict[str, Any]) -> str:
    """Return the name of the folder with the features of an origin."""
    return hashlib.sha256(json.dumps(origin, sort_keys=True).encode()).hexdigest()[:16]


class Features:
    """The stored features of one origin.

    Attributes:
        folder: where they are.
        sizes: of the model's latents.
    """

    def __init__(self, folder: Path) -> None:
        about = json.loads((folder / ABOUT).read_text())
        self.folder, self.sizes = folder, Sizes(*(about[name] for name in Sizes._fields))

    def read(self, episode: int, start: int, stop: int) -> Tensor:
        """Return the features of steps `start` to `stop` of an episode, (N F) float32.

        Raises:
            ValueError: the file is damaged.
        """
        file = file_of(self.folder, episode)
        try:
            rows = np.load(file, mmap_mode="r")[start:stop]
        except (ValueError, EOFError) as error:
            raise ValueError(f"{file} is damaged ({error}); remove it, and the same command makes it again") from None
        deter = torch.from_numpy(rows["deter"].astype(np.float32))
        stoch = F.one_hot(torch.from_numpy(rows["stoch"].astype(np.int64)), self.sizes.classes)
        return torch.cat([deter, stoch.flatten(1).float()], 1)


def file_of(folder: Path, episode: int) -> Path:
    """Return where the features of an episode are."""
    return folder / f"{episode:06d}.npy"


def begin(folder: Path, origin: dict[str, Any], sizes: Sizes) -> None:
    """Write what the features in `folder` are of."""
    _whole(folder / ABOUT, (json.dumps(origin | sizes._asdict(), indent=2) + "\n").encode())


def save(folder: Path, episode: int, latent: Latent) -> None:
    """Write the features of an episode, whose latents are (T ...): the file is there when it is whole.

    Raises:
        ValueError: the model's h is beyond what float16 holds, or no number.
    """
    sizes = sizes_of(latent)
    rows = np.empty(len(latent.deter), sizes.row)
    with np.errstate(over="ignore"):
        rows["deter"] = latent.deter.detach().float().cpu().numpy()
    if not np.isfinite(rows["deter"]).all():
        raise ValueError(
            f"the model's features of episode {episode} are not finite, or beyond 65504; probe an earlier checkpoint"
        )
    rows["stoch"] = latent.stoch.argmax(-1).cpu().numpy()
    draft = scratch(folder, file_of(folder, episode).name)
    try:
        with draft.open("wb") as file:
            np.save(file, rows)
        flush(draft)
        os.replace(draft, file_of(folder, episode))
    finally:
        remove(draft)


def sizes_of(latent: Latent) -> Sizes:
    """Return the sizes of latents (... D), (... K V)."""
    return Sizes(latent.deter.shape[-1], *latent.stoch.shape[-2:])


def _whole(path: Path, content: bytes) -> None:
    draft = scratch(path.parent, path.name)
    try:
        draft.write_bytes(content)
        flush(draft)
        os.replace(draft, path)
    finally:
        remove(draft)
