"""World models by name: the papers' tables, and small ones for a CPU. One dict; a new model is one line in it.

Source: S4WM, Tables 7 and 8.
"""

from __future__ import annotations

import difflib
from dataclasses import dataclass, field
from typing import Literal

from .backbones.s4 import S4Config
from .latents import LatentConfig
from .networks import CNNConfig
from .parallel import LossConfig, ParallelConfig


@dataclass(frozen=True)
class OptimConfig:
    """AdamW, its learning rates and their schedule."""

    lr: float = 1e-3  # of everything but the SSM parameters
    ssm_lr: float = 1e-3  # upper bound for {dt, A, B, P}, which do not decay (S4)
    weight_decay: float = 1e-2
    clip: float = 1000.0  # global gradient norm
    warmup: int = 1000  # optimiser steps of linear warm-up
    schedule: Literal["cosine", "constant"] = "cosine"  # after the warm-up; cosine falls to zero at the end


@dataclass(frozen=True)
class Preset:
    """A world model and how it is trained."""

    model: ParallelConfig
    optim: OptimConfig = field(default_factory=OptimConfig)
    batch_size: int = 8  # whole trajectories
    steps: int = 100_000


PRESETS: dict[str, Preset] = {
    # S4WM, Table 7: 41,114,339 parameters without reward and continue heads at 6 actions
    "s4wm-3d": Preset(
        ParallelConfig(actions=6, cnn=CNNConfig(stages=4, multiplier=48, size=64), units=1000), steps=200_000
    ),
    # S4WM, Table 8: 28,061,187 at 7 actions
    "s4wm-2d": Preset(ParallelConfig(actions=7, cnn=CNNConfig(stages=3, multiplier=32, size=40), units=512)),
    # for two CPU cores: learns Distracting Memory of width 14 in minutes
    "s4wm-tiny": Preset(
        ParallelConfig(
            actions=3,
            cnn=CNNConfig(stages=3, multiplier=16, size=40),
            latent=LatentConfig(variables=16, classes=16),
            backbone=S4Config(blocks=2, width=128, mlp=512, state=64, kernel="s4d"),
            units=256,
            loss=LossConfig(reward=600.0),  # one step in 35 is rewarded: 600 makes it weigh as much as 17 frames
        ),
        OptimConfig(lr=3e-3, warmup=200, clip=100.0),
        steps=4_500,
    ),
}
SIZES = {40: "2d", 64: "3d"}  # what a family's bare name stands for, by image size


def resolve(name: str, image_size: int) -> str:
    """Return the preset that `name` stands for: itself, or a family (`s4wm`) completed by the image size.

    Raises:
        ValueError: there is no such preset; the message lists the known ones.
    """
    if name in PRESETS:
        return name
    completed = f"{name}-{SIZES.get(image_size, '')}"
    if completed in PRESETS:
        return completed
    families = {preset.rsplit("-", 1)[0] for preset in PRESETS}
    if name in families:
        known = ", ".join(preset for preset in PRESETS if preset.startswith(f"{name}-"))
        raise ValueError(f"{name!r} has no preset for images of {image_size} pixels; name one of {known}")
    close = difflib.get_close_matches(name, [*PRESETS, *families], 1)
    meant = f" (perhaps you meant {close[0]!r})" if close else ""
    raise ValueError(f"there is no model {name!r}{meant}; the models are {', '.join([*sorted(families), *PRESETS])}")
