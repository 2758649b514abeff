"""What can be said about an online run."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from ..worldmodels.base import PolicyInput
from ..worldmodels.families import WorldModelConfig
from ..worldmodels.parallel import ParallelConfig
from ..worldmodels.presets import OptimConfig
from .behaviour import BehaviourConfig
from .environments.environment import NoOptions

# what may change when a run goes on; with another value of anything else it would be another run
CHANGEABLE = {"out", "config", "env_steps", "minutes", "device", "cpu_threads", "tracker", "films"}
# DreamerV3's: with Adam's usual eps an actor would run after the noise of returns that are all alike
BEHAVIOUR_OPTIM = OptimConfig(lr=1e-4, weight_decay=0.0, eps=1e-5, clip=100.0, warmup=0, schedule="constant")


@dataclass(frozen=True)
class DreamerConfig:
    """One online run."""

    env: str
    """Name of the environment; --help lists them."""
    out: Path
    """The run folder: config, metrics.jsonl, curve.png, checkpoints, replay, films."""
    model: str = ""
    """A preset of world models; by default the environment's: one for a CPU, but for memory_maze and atari."""
    env_steps: int = 100_000
    """Observations received from the environments, all told."""
    minutes: float = 0.0
    """Of acting and training after which the run ends, evaluated and saved, before --env-steps; 0: at --env-steps."""
    envs: int = 8
    """Copies of the environment that are played side by side, over all processes."""
    prefill: int = 2_000
    """Environment steps of a random policy before training begins."""
    train_ratio: int = 512
    """Steps that are replayed for every environment step: how much is learned from each."""
    batch_size: int = 16
    """Rows of a batch, over all processes."""
    batch_length: int = 64
    """Steps of a row: the memory that is trained. A row may hold several episodes."""
    starts: Literal["anywhere", "episode"] = "anywhere"
    """Where rows begin: in the midst of episodes, or with one."""
    capacity: int = 1_000_000
    """Steps that the replay holds, over all processes; the oldest episodes go first."""
    replay: str | None = None
    """A data set that the replay begins with; it stays as it is."""
    config: Path | None = None
    """A config.json to start from instead of the settings of environment and model; flags win."""
    checkpoint: Path | None = None
    """A run whose world model is taken over, trained offline or online."""
    policy_input: PolicyInput = "output"
    """What the policy reads: output (z, h), hidden (z, x), full (z, h, x)."""
    seed: int = 0
    """Of weights, environments, replay and draws."""
    evaluate_every: int = 5_000
    """Environment steps between evaluations."""
    evaluation_episodes: int = 20
    """Always the same ones, played with the likeliest actions."""
    films: bool = True
    """At each evaluation, draw an episode beside what the world model imagines of it."""
    save_every: int = 5_000
    """Environment steps between checkpoints from which the run can go on."""
    log_every: int = 500
    """Environment steps between lines of metrics.jsonl."""
    precision: Literal["no", "bf16"] = "no"
    """With bf16, autocast: SSM kernels, KL and losses stay in float32."""
    tf32: bool = True
    """On a GPU: what is float32 in linear layers and convolutions is multiplied in TF32."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """By default a GPU where there is one."""
    cpu_threads: int = 0
    """Of torch, per process; 0: the cores shared out over the processes."""
    tracker: Literal["none", "tensorboard", "wandb", "trackio"] = "none"
    """Besides metrics.jsonl."""
    options: Any = field(default_factory=NoOptions)
    """The environment's own."""
    world_model: WorldModelConfig = field(default_factory=ParallelConfig)
    optim: OptimConfig = field(default_factory=OptimConfig)
    """Of the world model."""
    behaviour: BehaviourConfig = field(default_factory=BehaviourConfig)
    behaviour_optim: OptimConfig = BEHAVIOUR_OPTIM
    """Of actor and critic, each clipped by itself."""

    def __post_init__(self) -> None:
        one_or_more = ("env_steps", "envs", "train_ratio", "batch_size", "capacity", "evaluate_every")
        for name in (*one_or_more, "evaluation_episodes", "save_every", "log_every"):
            if isinstance(value := getattr(self, name), int) and value < 1:
                raise ValueError(f"--{name.replace('_', '-')} must be 1 or more, not {value}")
        if isinstance(self.minutes, int | float) and not 0 <= self.minutes < math.inf:
            raise ValueError(f"--minutes must be 0 or more, not {self.minutes}")
        if self.batch_length < 2:
            raise ValueError(
                f"--batch-length must be 2 or more, not {self.batch_length}: a model predicts the next step"
            )
        if self.prefill < (least := max(self.batch_length, self.envs)):
            raise ValueError(
                f"--prefill {self.prefill}: give {least} or more, so that there is a row of --batch-length "
                f"{self.batch_length} steps to train on"
            )
        if self.capacity < 2 * self.prefill:
            raise ValueError(f"--capacity {self.capacity}: give at least twice --prefill, {2 * self.prefill}")

    @property
    def batch_steps(self) -> int:
        """Steps that one update replays."""
        return self.batch_size * self.batch_length
