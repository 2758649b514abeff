"""What can be said about a training run, and how it is put together from presets, files and flags."""

from __future__ import annotations

import argparse
import dataclasses
import json
import math
import os
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import tyro

from ..datasets.episode import VECTOR
from ..datasets.info import DatasetInfo
from .codecs.catalogue import CodecConfig
from .codecs.cnn import CNNConfig
from .codecs.vectors import VectorConfig
from .config import from_dict, to_dict
from .families import WorldModelConfig
from .parallel import ParallelConfig
from .presets import PRESETS, OptimConfig, family_name, resolve

DESCRIPTION = f"""Train a world model offline on a data set made by `collect`.

    accelerate launch train_wm.py --data data/dm100 --model s4wm --out runs/dm100

Models: {", ".join(PRESETS)};
a family's name (s4wm, rssm, tssm-xl, ...) is completed by the image size.

Every field below can be set; --model chooses their defaults. Ctrl-C saves and stops; the same command with --resume
goes on exactly where the run was.

    torchrun --standalone --nproc-per-node 4 train_wm.py --data data/dm100 --model s4wm --out runs/dm100
    torchrun ... train_wm.py --data data/four_rooms --model s4wm --out runs/four_rooms --micro-batch 1

The first trains on four GPUs; the second one row at a time, where a GPU's memory does not hold its share of
--batch-size. Both learn the same as one GPU with all rows at once. Several nodes and Slurm: docs/scaling.md."""
RUN_CONFIG = "config.json"
# what may change when a run is resumed; all else decides what is learned, and another value would be another run
CHANGEABLE = {"data", "out", "model", "steps", "minutes", "resume", "config", "device", "cpu_threads", "loader_threads"}
CHANGEABLE |= {"cache_gb", "stop_at", "tracker", "validate_every", "validation_episodes", "save_every", "log_every"}
CHANGEABLE |= {"micro_batch", "compile"}


@dataclass(frozen=True)
class TrainConfig:
    """One training run."""

    data: str  # a data set made by `collect`: its folder, or its URL (s3://bucket/folder)
    out: Path  # the run folder: config, metrics.jsonl, checkpoints
    model: str = "s4wm"  # a preset (s4wm-2d), or a family (s4wm) completed by the image size
    steps: int = 100_000  # optimiser steps
    stop_at: int = 0  # step at which this call saves and ends, the schedule being that of all `steps`; 0: at `steps`
    minutes: float = 0.0  # of training after which the run ends, validated and saved, before `steps`; 0: at `steps`
    batch_size: int = 8  # rows a step, over all processes: each takes its share of them
    micro_batch: int = 0  # rows a process computes at once, at most: less memory, the same gradient; 0: its whole share
    window: int = 0  # steps of a TBTT window, the state carried from one to the next; 0: rows are whole trajectories
    random_windows: bool = False  # with --window: windows that begin anywhere, no state carried, instead of streams
    seed: int = 0  # of weights, data order and latents
    resume: bool = False  # go on with the run in --out
    config: Path | None = None  # a config.json to start from instead of the preset; flags win
    validate_every: int = 500  # steps between validations
    validation_episodes: int = 128  # episodes of the validation split that are used, at most
    save_every: int = 500  # steps between checkpoints from which a run can go on
    log_every: int = 10  # steps between lines of metrics.jsonl, for which the host waits for the device
    precision: Literal["no", "bf16"] = "no"  # bf16: autocast; SSM kernels, KL and losses stay in float32
    tf32: bool = True  # on a GPU: what is float32 in linear layers and convolutions is multiplied in TF32
    compile: bool = False  # codec, heads and MLPs by torch.compile: minutes to begin, pays on a GPU if anywhere
    device: Literal["auto", "cpu", "cuda"] = "auto"  # auto: a GPU where there is one
    cpu_threads: int = 0  # of torch, per process; 0: the cores shared out over the processes
    loader_threads: int = 2  # that decode batches ahead
    cache_gb: float = 1.0  # memory of each process for batches ahead (up to half) and decoded data to be used again
    tracker: Literal["none", "tensorboard", "wandb", "trackio"] = "none"  # besides metrics.jsonl
    world_model: WorldModelConfig = field(default_factory=ParallelConfig)
    optim: OptimConfig = field(default_factory=OptimConfig)

    def __post_init__(self) -> None:
        for name in ("steps", "batch_size", "validate_every", "validation_episodes", "save_every", "log_every"):
            if isinstance(value := getattr(self, name), int) and value < 1:
                raise ValueError(f"--{name.replace('_', '-')} must be 1 or more, not {value}")
        for name in ("stop_at", "minutes", "window", "cache_gb", "micro_batch"):
            if isinstance(value := getattr(self, name), int | float) and not 0 <= value < math.inf:
                raise ValueError(f"--{name.replace('_', '-')} must be 0 or more, not {value}")
        if self.random_windows is True and self.window == 0:
            raise ValueError("--random-windows needs --window, their length in steps, as in --window 48")


def fit_to_data(model: WorldModelConfig, info: DatasetInfo) -> WorldModelConfig:
    """Return the preset's model with the number of actions and the shape of the observations of a data set.

    Raises:
        ValueError: the images are not square, or one of model and data is of vectors and the other of images.
    """
    codec: CodecConfig
    if info.observation.name == VECTOR:
        if not isinstance(model.codec, VectorConfig):
            raise ValueError("the model takes images, the data set holds vectors: take a --model of vectors")
        codec = dataclasses.replace(model.codec, size=info.observation.spec.shape[0])
    else:
        height, width, channels = info.observation.spec.shape
        if height != width:
            raise ValueError(f"images must be square, not {height} x {width} pixels")
        if not isinstance(model.codec, CNNConfig):
            raise ValueError("the model takes vectors, the data set holds images: take a --model of images")
        codec = dataclasses.replace(model.codec, size=height, channels=channels)
    return dataclasses.replace(model, actions=info.arrays["action"].shape[0], codec=codec)


def check_fits(model: WorldModelConfig, info: DatasetInfo, what: str) -> None:
    """Raise ValueError where a model's actions or observations are not those of a data set; `what` is its name."""
    fitted = fit_to_data(model, info)
    for name, ours, theirs in (
        ("actions", model.actions, fitted.actions),
        (f"{info.observation.name} size", model.codec.size, fitted.codec.size),
        (
            "image channels",
            getattr(model.codec, "channels", None),
            getattr(fitted.codec, "channels", None),
        ),
    ):
        if ours != theirs:
            raise ValueError(f"the model has {name} {ours}, {what} has {theirs}")


def read_run_config(path: Path) -> dict[str, Any]:
    """Return the "train" part of a saved config.json as plain values.

    Raises:
        ValueError: there is no such file, or it is not a run's.
    """
    try:
        return json.loads(path.read_text())["train"]
    except FileNotFoundError:
        raise ValueError(f"there is no {path}") from None
    except (json.JSONDecodeError, KeyError, TypeError, OSError) as error:
        raise ValueError(f"{path} is no training configuration: {error!r}") from None


def _early(arguments: Sequence[str]) -> argparse.Namespace:
    """Read the few flags that decide the defaults of all others."""
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    for flag in ("--out", "--config"):
        parser.add_argument(flag, type=Path)
    for flag in ("--data", "--model"):
        parser.add_argument(flag)
    parser.add_argument("--resume", action="store_true")
    return parser.parse_known_args(arguments)[0]


def _defaults(early: argparse.Namespace) -> TrainConfig:
    """Return the configuration that flags then change: the run's own, a file's, or the preset's."""
    if early.resume and early.out and not (early.out / RUN_CONFIG).exists():
        raise ValueError(f"{early.out} holds no run to resume: leave --resume out to start one there")
    saved = early.out / RUN_CONFIG if early.resume and early.out else early.config
    if saved is not None:
        config = from_dict(TrainConfig, read_run_config(saved))
        return config if early.resume else dataclasses.replace(config, data=tyro.MISSING, out=tyro.MISSING)
    info = DatasetInfo.read(early.data) if early.data else None
    asked = early.model or TrainConfig.model
    name = preset_for(asked, info)
    return preset_config(name, info, tyro.MISSING, tyro.MISSING)


def preset_config(name: str, info: DatasetInfo | None, data: str, out: Path) -> TrainConfig:
    """Return the run that a preset makes of a data set, if one is named, where nothing else is said."""
    preset = PRESETS[name]
    return TrainConfig(
        data=data,
        out=out,
        model=name,
        steps=preset.steps,
        batch_size=preset.batch_size,
        window=preset.window,
        world_model=fit_to_data(preset.model, info) if info else preset.model,
        optim=preset.optim,
    )


def preset_for(asked: str, info: DatasetInfo | None) -> str:
    """Return the name of the preset that is asked for; of a family, the one for the data set's images.

    Raises:
        ValueError: there is none; the message lists the known ones.
    """
    if info is None:
        return resolve(asked, 40)
    if info.observation.name == VECTOR:
        able = [name for name, preset in PRESETS.items() if isinstance(preset.model.codec, VectorConfig)]
        if asked not in able:
            raise ValueError(f"--model {asked} takes no vectors, which is what is observed; give {', '.join(able)}")
        return asked
    size = info.observation.spec.shape[0]
    name = resolve(asked, size)
    if name != asked and os.environ.get("RANK", "0") == "0":
        print(f"{asked} is {name} for images of {size} pixels")
    return name


def parse(arguments: Sequence[str]) -> TrainConfig:
    """Return the run that the command line asks for.

    Raises:
        ValueError: an unknown model, a data set that cannot be read, a field out of range.
    """
    early = _early(arguments)
    defaults = _defaults(early)
    config = tyro.cli(
        TrainConfig,
        args=list(arguments),
        default=defaults,
        description=DESCRIPTION,
        config=(tyro.conf.AvoidSubcommands,),
    )
    if early.model and early.model not in (defaults.model, family_name(defaults.model)):
        raise ValueError(f"--model {early.model}: the configuration to start from is a {defaults.model}; leave it out")
    if early.resume:
        refuse_changes(defaults, config)
    return dataclasses.replace(config, model=defaults.model)


def refuse_changes(saved: Any, wanted: Any, changeable: Collection[str] = CHANGEABLE) -> None:
    """Raise ValueError, naming both values, where a resumed run would no longer be the same run.

    Args:
        saved: the run's configuration.
        wanted: the same dataclass, with what is asked for now.
        changeable: fields that may differ.
    """
    before, after = flat(to_dict(saved)), flat(to_dict(wanted))
    for name, value in after.items():
        if name not in changeable and before.get(name) != value:
            flag = name.removeprefix("options.").replace("_", "-")  # an environment's own stand among the others
            raise ValueError(
                f"--{flag} was {before.get(name)} and cannot become {value} when the run is resumed: "
                "start another run (--config takes its settings over)"
            )


def flat(values: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return nested dictionaries as one, with dotted names."""
    found: dict[str, Any] = {}
    for name, value in values.items():
        found |= flat(value, f"{prefix}{name}.") if isinstance(value, dict) else {f"{prefix}{name}": value}
    return found
