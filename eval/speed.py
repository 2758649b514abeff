"""Speed and memory of a world model, in training and in imagination, on random frames: they cost what others do.

Training: the steps of an episode are one window, or several in turn for a preset with truncated backpropagation; each
takes forward, backward, clipping and AdamW. Imagination: a context is observed, the rest imagined and decoded.

    python -m longdream.eval.speed WORK

is what `longdream benchmark` starts, so that one peak of memory is one model's in one phase. WORK is JSON; every batch
is a line of JSON on stdout.

Axes: B batch, T time, H horizon, A action.

Source: S4WM, section 5.2 and Figure 3.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from typing import Literal, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils._pytree import tree_map

from ..datasets.batch import Batch
from ..worldmodels.base import Latent, WorldModel
from ..worldmodels.codecs.vectors import VectorConfig
from ..worldmodels.device import keep_freed_memory, peak_memory, usable_cores
from ..worldmodels.families import build
from ..worldmodels.latent_model import LatentWorldModel, ModelConfig
from ..worldmodels.optim import build_optimizer
from ..worldmodels.presets import PRESETS
from ..worldmodels.rollout import Rollout

Phase = Literal["training", "imagination"]
Way = Literal["eager", "compiled", "cuda-graph"]  # to imagine
STEPS_AT_ONCE = 32  # decoded, as in an evaluation


class Shape(NamedTuple):
    """Of a batch."""

    batch: int
    time: int

    @property
    def frames(self) -> int:
        """How many observations it has."""
        return self.batch * self.time


@dataclass(frozen=True)
class Work:
    """What is measured of a model."""

    preset: str
    phase: Phase
    batch: int  # B
    time: int  # T: an episode's steps, or the context's
    horizon: int  # H: steps imagined after it; 0 in training
    batches: int  # counted ones; one before them is not
    device: str
    way: Way
    cpu_threads: int  # of torch; 0: all cores

    def __str__(self) -> str:
        return json.dumps(asdict(self))

    @property
    def threads(self) -> int:
        """How many of torch's threads work on a CPU."""
        return self.cpu_threads or usable_cores()

    @property
    def amount(self) -> int:
        """What one batch is worth: episodes trained on, or frames imagined."""
        return self.batch if self.phase == "training" else self.batch * self.horizon


def random_batch(config: ModelConfig, shape: Shape, device: torch.device | str = "cpu") -> Batch:
    """Return random data of the kind that a model is for, drawn on `device`."""
    codec = config.codec
    if isinstance(codec, VectorConfig):
        obs = torch.randn(*shape, codec.size, device=device)
    else:
        image = (codec.size, codec.size, codec.channels)  # channels last, as frames are decoded
        obs = torch.randint(256, (*shape, *image), dtype=torch.uint8, device=device).permute(0, 1, 4, 2, 3)
    first = torch.arange(shape.time, device=device).expand(shape) == 0
    ones = torch.ones(shape, device=device)
    return Batch(obs, random_actions(config, shape, device), torch.rand(shape, device=device), ones, first, inside=0)


def random_actions(config: ModelConfig, shape: Shape, device: torch.device | str = "cpu") -> Tensor:
    """Return one-hot actions (B T A)."""
    return F.one_hot(torch.randint(config.actions, shape, device=device), config.actions).float()


class Training:
    """Training of a new model on random episodes; a call trains on one batch of them."""

    def __init__(self, work: Work) -> None:
        self.preset, self.shape = PRESETS[work.preset], Shape(work.batch, work.time)
        self.model = build(self.preset.model).to(work.device)
        self.optimizer = build_optimizer(self.model, self.preset.optim)
        self.batch = random_batch(self.preset.model, self.shape, work.device)

    def __call__(self) -> None:
        state = None
        for start in range(0, self.shape.time, self.preset.window or self.shape.time):
            stop = min(start + (self.preset.window or self.shape.time), self.shape.time)
            loss = self.model(self.batch.window(start, stop), state)
            state = tree_map(torch.clone, loss.state)  # a view would keep the window alive
            loss.total.backward()
            torch.nn.utils.clip_grad_norm_(self.model.parameters(), self.preset.optim.clip)
            self.optimizer.step()
            self.optimizer.zero_grad(set_to_none=True)


class Imagination:
    """Imagination of a new model after random contexts; a call is one batch of them."""

    def __init__(self, work: Work) -> None:
        preset = PRESETS[work.preset]
        self.horizon = work.horizon
        self.model = build(preset.model).to(work.device).eval()
        self.context = random_batch(preset.model, Shape(work.batch, work.time), work.device)
        self.actions = random_actions(preset.model, Shape(work.batch, work.horizon), work.device)
        self.imagine: Callable[..., tuple[Latent, object]] = self.model.imagine
        if work.way != "eager":
            assert isinstance(self.model, LatentWorldModel)
            self.imagine = Rollout(self.model, work.way)

    @torch.no_grad()
    def __call__(self) -> None:
        latent, _ = self.imagine(self.model.observe(self.context).state, self.actions)
        for start in range(0, self.horizon, STEPS_AT_ONCE):
            self.model.predict(Latent(*(part[:, start : start + STEPS_AT_ONCE] for part in latent)))


class Sample(NamedTuple):
    """One batch."""

    seconds: float
    memory_gb: float  # peak of the process until now: of the GPU's memory, or all that is resident


def measure(work: Work) -> Iterator[Sample]:
    """Do the work, batch by batch; the first one is not counted."""
    device = torch.device(work.device)
    call = (Training if work.phase == "training" else Imagination)(work)
    call()
    for _ in range(work.batches):
        yield Sample(_seconds(call, device), peak_memory(device))


def estimate(work: Work) -> float:
    """Return roughly how many seconds the work takes, from a small piece of it done here."""
    shape = Shape(min(work.batch, 2), min(work.time, 16))
    small = Work(**asdict(work) | {"batch": shape.batch, "time": shape.time, "horizon": min(work.horizon, 16)})
    call = (Training if work.phase == "training" else Imagination)(small)
    call()
    ratio = work.batch * (work.time + work.horizon) / (small.batch * (small.time + small.horizon))
    return _seconds(call, torch.device(work.device)) * ratio * (work.batches + 1)


def parameters(preset: str) -> int:
    """Return the number of a model's parameters."""
    with torch.device("meta"):
        model: WorldModel = build(PRESETS[preset].model)
    return sum(p.numel() for p in model.parameters())


def _seconds(call: Callable[[], None], device: torch.device) -> float:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    start = time.perf_counter()
    call()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter() - start


def main() -> None:
    """Measure what the command line says; print a line of JSON for every batch."""
    work = Work(**json.loads(sys.argv[1]))
    if work.device == "cpu":
        keep_freed_memory()
        torch.set_num_threads(work.threads)
    for sample in measure(work):
        print(json.dumps(sample._asdict()), flush=True)


if __name__ == "__main__":
    main()
