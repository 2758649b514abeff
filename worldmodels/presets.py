"""World models by name: the papers' tables, and small ones for a CPU. One dict; a new model is one line in it.

Source: S4WM, Tables 7 and 8 (epochs of whole trajectories turned into steps); Recall2Imagine's configurations.
"""

from __future__ import annotations

import difflib
from dataclasses import dataclass, field, fields, replace
from typing import Literal

from .backbones.catalogue import BackboneConfig
from .backbones.gated import GatedConfig
from .backbones.hybrid import HybridConfig
from .backbones.s4 import S4Config
from .backbones.s5 import S5Config
from .backbones.transformer_xl import TransformerXLConfig
from .codecs.cnn import CNNConfig
from .codecs.vectors import VectorConfig
from .families import WorldModelConfig
from .latent_model import LossConfig, ModelConfig
from .latents import LatentConfig
from .parallel import ParallelConfig
from .rssm import RSSMConfig


@dataclass(frozen=True)
class OptimConfig:
    """AdamW, its learning rates and their schedule."""

    lr: float = 1e-3  # of everything but the SSM parameters
    ssm_lr: float = 1e-3  # upper bound for {dt, A, B, P}, which do not decay (S4)
    weight_decay: float = 1e-2
    eps: float = 1e-8  # gradients much smaller than this are not made large
    clip: float = 1000.0  # global gradient norm
    warmup: int = 1000  # optimiser steps of linear warm-up
    schedule: Literal["cosine", "constant"] = "cosine"  # after the warm-up; cosine falls to zero at the end


@dataclass(frozen=True)
class Preset:
    """A world model and how it is trained."""

    model: WorldModelConfig
    optim: OptimConfig = field(default_factory=OptimConfig)
    batch_size: int = 8  # whole trajectories, or streams
    window: int = 0  # steps of a window of truncated backpropagation; 0: whole trajectories
    steps: int = 100_000


# what every model of a size has
PAPER_3D = ParallelConfig(actions=6, codec=CNNConfig(stages=4, multiplier=48, size=64), units=1000)
PAPER_2D = ParallelConfig(actions=7, codec=CNNConfig(stages=3, multiplier=32, size=40), units=512)
TINY = ParallelConfig(
    actions=3,
    codec=CNNConfig(stages=3, multiplier=16, size=40),
    latent=LatentConfig(variables=16, classes=16),
    units=256,
    loss=LossConfig(reward=600.0),  # one step in 35 is rewarded: 600 makes it weigh as much as 17 frames
)
SMALL_STEPS = OptimConfig(lr=1e-3, warmup=200, clip=100.0)  # 3e-3 is too much for attention, a GRU, and the reward
TSSM_OPTIM = OptimConfig(lr=1e-4, warmup=0, schedule="constant")
RSSM_OPTIM = OptimConfig(lr=3e-4, clip=200.0, warmup=0, schedule="constant")
R2I_OPTIM = OptimConfig(lr=3e-4, clip=200.0, warmup=0, schedule="constant")
DREAMER_OPTIM = OptimConfig(lr=1e-4, weight_decay=0.0, warmup=0, schedule="constant")
SMALL_CONSTANT = OptimConfig(lr=1e-3, weight_decay=0.0, clip=100.0, warmup=0, schedule="constant")


def _family(name: str, paper: BackboneConfig, tiny: BackboneConfig, full_posterior: bool = False) -> dict[str, Preset]:
    """Return the three sizes of a relative of S4WM, which differs in its backbone alone and is trained as S4WM is."""

    def model(size: ParallelConfig, backbone: BackboneConfig) -> ParallelConfig:
        return replace(size, backbone=backbone, posterior_backbone=backbone if full_posterior else None)

    return {
        f"{name}-3d": Preset(model(PAPER_3D, paper), steps=200_000),
        f"{name}-2d": Preset(model(PAPER_2D, paper)),
        f"{name}-tiny": Preset(model(TINY, tiny), SMALL_STEPS, steps=4_500),
    }


def _recurrent(size: ParallelConfig, width: int) -> RSSMConfig:
    """Return an RSSM of a size."""
    shared = {f.name: getattr(size, f.name) for f in fields(ModelConfig)}
    return RSSMConfig(**shared, width=width)


def _twins(task: str, model: ParallelConfig, optim: OptimConfig, batch_size: int = 16) -> dict[str, Preset]:
    """Return R2I's world model for a task, and the RSSM with everything else the same."""
    return {
        f"r2i-{task}": Preset(model, optim, batch_size),
        f"rssm-{task}": Preset(_recurrent(model, model.width), optim, batch_size=16, window=64),
    }


# small tasks ask for memories of tens of steps or none, which the paper's range of step sizes learns late
S4_TINY = S4Config(blocks=2, width=128, mlp=512, kernel="s4d", dt_min=1e-2, dt_max=1.0)
S5_TINY = S5Config(2, width=128, mlp=512, state=128, discretisation="zoh", dt_min=1e-2, dt_max=1.0)
HYBRID_TINY = HybridConfig(1, 1, width=128, mlp=512, heads=4, memory=32, dt_min=1e-2, dt_max=1.0)
S3M = S5Config(layers=1, mlp=0, norm="post")  # R2I's layers
S3M_TINY = replace(S3M, blocks=2, width=128, state=128, dt_min=1e-2, dt_max=1.0)

# R2I's code has N/2 complex numbers a layer, 512 in Memory Maze and 128 elsewhere, and `units` as width of the layers
MEMORY_MAZE = replace(
    PAPER_3D,
    units=1024,
    head_layers=4,
    loss=LossConfig(prior=0.8, posterior=0.2, free_nats=1.0),
    backbone=replace(S3M, blocks=5, width=1024, state=1024),
    deter=2048,
    counts_first=True,
)
DREAMER_LOSS = LossConfig(prior=0.5, posterior=0.1, free_nats=1.0)
POPGYM = ParallelConfig(
    codec=VectorConfig(units=512, layers=1),
    loss=DREAMER_LOSS,
    backbone=replace(S3M, blocks=3, width=512, state=256),
    deter=1024,
    counts_first=True,
)
BSUITE = replace(
    POPGYM,
    codec=VectorConfig(units=1024, layers=5),
    backbone=replace(S3M, blocks=3, width=512, state=256, discretisation="zoh"),
    deter=512,
)
DMC = replace(BSUITE, backbone=replace(S3M, blocks=4, width=512, state=256))
ATARI = replace(DMC, codec=CNNConfig(stages=4, multiplier=32, size=64))
VECTOR_TINY = ParallelConfig(
    chunk=512,
    codec=VectorConfig(units=128, layers=2),
    latent=LatentConfig(variables=16, classes=8),
    units=128,
    head_layers=1,
    loss=DREAMER_LOSS,
    backbone=S3M_TINY,
    counts_first=True,
)
# observations of a few bits, some of them to be remembered, as a small part of h. Latents that a task does not need
# would be noise there. Rewards weigh ten times as much: where memory is asked for, one step in many has one
SYMBOLS_TINY = replace(
    VECTOR_TINY,
    latent=LatentConfig(variables=4, classes=4),
    loss=replace(DREAMER_LOSS, reward=10.0),
    backbone=replace(S3M, blocks=2, width=128, state=128),
)
IMAGE_TINY = replace(
    VECTOR_TINY,
    chunk=ModelConfig.chunk,
    codec=CNNConfig(stages=4, multiplier=8, size=64),
    latent=LatentConfig(variables=16, classes=16),
    units=256,
)

PRESETS: dict[str, Preset] = {
    # 41,114,339 parameters in 3D and 28,061,187 in 2D, without reward and continue heads
    **_family("s4wm", S4Config(), S4_TINY),
    **_family("s4wm-full-posterior", S4Config(), S4_TINY, full_posterior=True),
    **_family("s4wm-no-mlp", S4Config(mlp=0), replace(S4_TINY, mlp=0)),
    "s4wm-s4d-3d": Preset(replace(PAPER_3D, backbone=S4Config(kernel="s4d")), steps=200_000),
    "s4wm-s4d-2d": Preset(replace(PAPER_2D, backbone=S4Config(kernel="s4d"))),
    **_family("s5wm", S5Config(discretisation="zoh"), S5_TINY),
    **_family("gated", GatedConfig(), GatedConfig(layers=4, width=128, heads=8, state=16)),
    **_family("hybrid", HybridConfig(), HYBRID_TINY),
    # 43,843,043 and 27,113,731
    "tssm-xl-3d": Preset(replace(PAPER_3D, backbone=TransformerXLConfig(layers=12)), TSSM_OPTIM, steps=200_000),
    "tssm-xl-2d": Preset(replace(PAPER_2D, backbone=TransformerXLConfig(layers=10)), TSSM_OPTIM),
    "tssm-xl-tiny": Preset(
        replace(TINY, backbone=TransformerXLConfig(layers=4, width=128, mlp=256, heads=4, memory=32)),
        SMALL_STEPS,
        steps=4_500,
    ),
    # 54,051,107 and 31,225,091; as many epochs as the others
    "rssm-3d": Preset(_recurrent(PAPER_3D, 2048), RSSM_OPTIM, batch_size=32, window=48, steps=1_040_000),
    "rssm-2d": Preset(_recurrent(PAPER_2D, 2048), RSSM_OPTIM, batch_size=32, window=50, steps=125_000),
    "rssm-tiny": Preset(_recurrent(TINY, 384), SMALL_STEPS, batch_size=16, window=18, steps=4_500),
    "r2i-tiny": Preset(
        replace(
            TINY,
            loss=replace(TINY.loss, free_nats=1.0),
            backbone=replace(S3M_TINY, blocks=3),
            counts_first=True,
        ),
        SMALL_STEPS,
        steps=4_500,
    ),
    # R2I's world models, each with an RSSM of the same h, latents and networks
    **_twins("memory-maze", MEMORY_MAZE, R2I_OPTIM, batch_size=4),
    **_twins("popgym", POPGYM, DREAMER_OPTIM, batch_size=4),
    **_twins("bsuite", BSUITE, DREAMER_OPTIM),
    **_twins("atari", ATARI, DREAMER_OPTIM),  # and for DeepMind Control from pixels
    **_twins("dmc", DMC, DREAMER_OPTIM),
    **_twins("vector-tiny", VECTOR_TINY, SMALL_CONSTANT),
    **_twins("symbols-tiny", SYMBOLS_TINY, SMALL_CONSTANT),
    **_twins("image-tiny", IMAGE_TINY, SMALL_CONSTANT),
}
SIZES = {40: "2d", 64: "3d"}  # what a family's bare name stands for, by image size


def family_name(preset: str) -> str:
    """Return a preset's name without its size."""
    family, _, size = preset.rpartition("-")
    return family if size in ("2d", "3d", "tiny") else preset


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
    relatives = [preset for preset in PRESETS if preset.startswith(f"{name}-")]
    if relatives:
        known = ", ".join(relatives)
        raise ValueError(f"{name!r} has no preset for images of {image_size} pixels; name one of {known}")
    close = difflib.get_close_matches(name, [*PRESETS, *map(family_name, PRESETS)], 1)
    meant = f" (perhaps you meant {close[0]!r})" if close else ""
    raise ValueError(f"there is no model {name!r}{meant}; the models are {', '.join(PRESETS)}")
