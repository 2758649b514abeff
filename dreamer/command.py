"""The command line of an online run, put together from the environment's settings, a preset, files and flags."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import field, fields, make_dataclass, replace
from pathlib import Path
from typing import Annotated, Any, NamedTuple, cast

import tyro

from ..datasets.episode import IMAGE
from ..worldmodels.backbones.s5 import S5Config
from ..worldmodels.checkpoint import load_model
from ..worldmodels.families import WorldModelConfig
from ..worldmodels.parallel import ParallelConfig
from ..worldmodels.presets import PRESETS, family_name
from ..worldmodels.train_config import RUN_CONFIG, check_fits, fit_to_data, preset_for, refuse_changes
from .behaviour import BehaviourConfig
from .config import BEHAVIOUR_OPTIM, CHANGEABLE, DreamerConfig
from .environments.catalogue import ONLINE, find_online, list_online
from .saved import read_config
from .settings import setting_of
from .stored import replay_info

ABOUT = """Learn a world model and, inside it, a behaviour, while acting in an environment (Dreamer, Recall2Imagine).

    accelerate launch train_dreamer.py --env cartpole --out runs/cartpole
    accelerate launch train_dreamer.py --env memory_len --length 20 --env-steps 20000 --out runs/memory
    accelerate launch train_dreamer.py --env memory_len --help         with that environment's own options

Ctrl-C saves and stops; the same command goes on exactly where the run was, also after a crash (from its last
checkpoint). In OUT: curve.png (look at this), metrics.jsonl, films/, checkpoints/, and replay/, a data set like any
other: `longdream inspect OUT/replay`, `evaluate --checkpoint OUT --data OUT/replay`.

Every field below can be set; --env and --model choose their defaults."""


class Early(NamedTuple):
    """The few flags that decide the defaults of all others."""

    env: str | None
    model: str | None
    out: Path | None
    config: Path | None
    checkpoint: Path | None
    is_help: bool

    @property
    def there(self) -> Path | None:
        """The configuration of the run that --out holds, if it holds one."""
        path = None if self.out is None else self.out / RUN_CONFIG
        return path if path is not None and path.exists() else None


def parse(arguments: Sequence[str]) -> DreamerConfig:
    """Return the run that the command line asks for.

    Raises:
        ValueError: an unknown environment or model, a field out of range, or a run in --out that would be another.
    """
    early = _early(arguments)
    if early.there is not None:
        defaults = _saved(early.there, early)
    elif early.config is not None:
        defaults = replace(_saved(early.config, early), out=tyro.MISSING)
    elif early.env is not None:
        defaults = _chosen(early.env, early, arguments)
    elif early.is_help:
        defaults = DreamerConfig(env=tyro.MISSING, out=tyro.MISSING)
    else:
        raise ValueError(f"--env is missing: which environment? There are {', '.join(ONLINE)}")
    parsed = _read(arguments, defaults)
    if early.there is not None:
        refuse_changes(defaults, parsed, CHANGEABLE)
    return parsed


def _early(arguments: Sequence[str]) -> Early:
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    for flag in ("--env", "--model"):
        parser.add_argument(flag)
    for flag in ("--out", "--config", "--checkpoint"):
        parser.add_argument(flag, type=Path)
    found = vars(parser.parse_known_args(arguments)[0])
    return Early(**found, is_help=bool({"-h", "--help"} & set(arguments)))


def _saved(path: Path, early: Early) -> DreamerConfig:
    """Return the configuration of a run.

    Raises:
        ValueError: there is none at `path`, or it is that of another environment or model than is asked for.
    """
    found = read_config(path)
    for name in ("env", "model"):
        asked, there = getattr(early, name), getattr(found, name)
        if asked not in (None, there, family_name(there)):
            raise ValueError(f"--{name} {asked}: the run in {path.parent} is of {there}; choose another --out")
    return found


def _chosen(name: str, early: Early, arguments: Sequence[str]) -> DreamerConfig:
    """Return what a new run in an environment begins with.

    Raises:
        ValueError: an environment or model is not known, or they do not fit.
    """
    entry = find_online(name)
    words = [word for word in arguments if word not in ("-h", "--help")]
    options = tyro.cli(type(entry.options), default=entry.options, args=words, return_unknown_args=True)[0]
    info = replay_info(name, options)
    setting = setting_of(name, info.observation.name == IMAGE, early.model, info.spec.length)
    preset = PRESETS[model := preset_for(setting.model, info)]
    world_model = preset.model
    if early.checkpoint is not None:
        world_model = cast(WorldModelConfig, load_model(early.checkpoint).model.config)
        model = model if early.model else f"that of {early.checkpoint}"
        check_fits(world_model, info, name)
    fitted = fit_to_data(world_model, info)
    return DreamerConfig(
        env=name,
        out=tyro.MISSING,
        model=model,
        train_ratio=setting.train_ratio,
        batch_size=setting.batch_size,
        batch_length=setting.batch_length,
        prefill=setting.prefill,
        starts=setting.starts,
        policy_input=setting.policy_input if _has_small_state(fitted) else "output",
        options=options,
        world_model=fitted,
        optim=replace(preset.optim, schedule="constant"),  # what is seen last is to be learned from, too
        behaviour=BehaviourConfig(
            setting.units, setting.layers, imagine_every=setting.imagine_every, entropy=setting.entropy
        ),
        behaviour_optim=replace(BEHAVIOUR_OPTIM, lr=setting.lr),
    )


def _has_small_state(world_model: WorldModelConfig) -> bool:
    """Return whether a policy can read the recurrent state beside h: it is h itself in the RSSM, and huge elsewhere."""
    return isinstance(world_model, ParallelConfig) and isinstance(world_model.backbone, S5Config)


def _read(arguments: Sequence[str], defaults: DreamerConfig) -> DreamerConfig:
    """Return the defaults changed by flags; those of the environment's own options stand among the others."""
    flat: Any = Annotated[type(defaults.options), tyro.conf.arg(name="")]  # --length, not --options.length
    shown = [("options", flat, field(default=defaults.options))]
    kind: Any = make_dataclass("DreamerConfig", shown, bases=(DreamerConfig,), frozen=True)
    known = {f.name: getattr(defaults, f.name) for f in fields(DreamerConfig)}
    parsed = tyro.cli(
        kind,
        prog="train_dreamer.py",
        args=list(arguments),
        default=kind(**known),
        description=f"{ABOUT}\n\n{_listed()}\n\nModels: {', '.join(PRESETS)}",
        config=(tyro.conf.AvoidSubcommands,),
    )
    return DreamerConfig(**{name: getattr(parsed, name) for name in known})


def _listed() -> str:
    return "\n".join(f"  {line}" for line in list_online().splitlines())
