"""The trainer: one loop for every world model, on one device or many through Accelerate, resumable to the bit on a CPU.

It knows a model by the contract of `base.py` only. Data order is a pure function of the step, the learning rate too; a
checkpoint holds the weights, the optimiser, the step, the best validation, the training clock and, of every process,
torch's generator and the state that is carried from window to window.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple

import torch
from accelerate.utils import gather_object

from ..datasets.bar import progress_bar
from ..datasets.batch import Batch
from ..datasets.loader import read_batch
from ..datasets.reader import EpisodeDataset
from .accumulation import BatchLoss, accumulate, too_many_rows
from .base import State, WorldModel
from .checkpoint import TRAINER_STATE, describe, latest, load_weights, read_state, save_best, save_training
from .clock import TrainingClock, seconds_a_row
from .compiled import compile_regions
from .config import to_dict
from .device import make_accelerator, peak_memory, spawned_seed
from .families import build
from .feed import Upload, build_loader, build_sampler
from .interrupt import StopRequest
from .leave import fail_together, leave
from .optim import build_optimizer, lr_factor, set_lr
from .processes import check_alike, facts, gather_own, restore_carry, restore_noise
from .run_folder import check_out, record_run, take
from .run_report import RunReport
from .train_config import TrainConfig, check_fits, parse
from .validation import batches_of, validate

LARGE = 10_000_000  # parameters from which a CPU run is announced with an estimate of its length


class Mark(NamedTuple):
    """A moment of a run."""

    step: int
    seconds: float  # of the training clock


class End(NamedTuple):
    """Why a run ends before its last step."""

    signal: int  # that asked for it; 0: none did
    late: bool  # --minutes are over


class Trainer:
    """A run in progress."""

    def __init__(self, config: TrainConfig) -> None:
        self.config = config
        self.accelerator = make_accelerator(config)
        self.dataset = EpisodeDataset(config.data)
        check_fits(config.world_model, self.dataset.info, f"the data set {config.data}")
        self.train, self.validation = (self.dataset.split(name) for name in ("train", "validation"))
        if not len(self.train) or not len(self.validation):
            raise ValueError(
                f"{config.data} has {len(self.train)} training and {len(self.validation)} validation episodes"
            )
        self.sampler = build_sampler(config, self.dataset, self.train, self.accelerator)
        torch.manual_seed(config.seed)  # the same weights in every process
        model = build(config.world_model)
        optimizer = build_optimizer(model, config.optim)
        self.parameters = sum(p.numel() for p in model.parameters())
        if config.compile:
            compile_regions(model, self.accelerator.device)
        self.model, self.optimizer = self.accelerator.prepare(model, optimizer)
        self.step, self.best = 0, math.inf
        self.carry: State | None = None  # after the last window of streams; all else starts afresh
        self.clock = TrainingClock(self.accelerator.device)
        torch.manual_seed(spawned_seed(config.seed, self.accelerator.process_index))  # latents differ by process
        with ExitStack() as held:  # given back if the run cannot begin
            if self.accelerator.is_main_process:  # before reading what another trainer may be replacing
                held.enter_context(take(config.out, self.parameters))
            checkpoint = latest(config.out) if config.resume else None
            check_alike(self.accelerator, facts(config, self.dataset, checkpoint))
            if checkpoint is not None:
                self._restore(checkpoint)
            self._open_run()
            self.lock = held.pop_all()

    @property
    def rows_at_once(self) -> int:
        """How many rows this process computes at once, at most."""
        share = len(self.sampler.rows)
        return min(self.config.micro_batch or share, share)

    @property
    def unwrapped(self) -> WorldModel:
        """The model without DDP's wrapper, autocast kept."""
        return self.accelerator.unwrap_model(self.model, keep_fp32_wrapper=True)

    def fit(self) -> int | None:
        """Train until `steps`, `stop_at` or `minutes`, or until asked to stop; return the signal that asked, if any."""
        config, upload = self.config, Upload(self.accelerator.device)
        loader = build_loader(config, self.dataset, self.sampler, self.step, self.accelerator)
        main = self.accelerator.is_main_process
        bar = progress_bar(total=config.steps, initial=self.step, unit="step", disable=not main, dynamic_ncols=True)
        goal = min(config.stop_at or config.steps, config.steps)
        end = End(0, self._late())
        since = self._mark()
        with self.lock, loader as batches, bar, StopRequest() as stop, self.clock.running():
            while self.step < goal and not (end.late or end.signal):
                batch = next(batches)
                loss, norm = self._update(upload(batch))
                self.step += 1
                bar.update()
                end = self._agreed(End(stop.signal or 0, self._late()))
                last = end.late or self.step == config.steps
                halt = last or self.step == goal
                if halt or self.step % config.log_every == 0:
                    line = self._log(loss, norm, batch.first.numel(), since)
                    since = self._mark()
                    bar.set_postfix(
                        loss=f"{line['loss']:.1f}", frames_s=f"{line['frames_per_second']:.0f}", refresh=False
                    )
                if last or self.step % config.validate_every == 0:
                    with self.clock.stopped():
                        self._validate()
                if halt or end.signal or self.step % config.save_every == 0:
                    self._check_finite(loss, norm)
                    with self.clock.stopped():
                        self._save()
        self.report.close()
        return end.signal or None

    def _update(self, batch: Batch) -> tuple[BatchLoss, torch.Tensor]:
        """Take one optimiser step; return the loss and the gradient's norm, both still on the device."""
        config = self.config
        set_lr(self.optimizer, lr_factor(self.step, config.steps, config.optim))
        carries = self.sampler.carries
        fed = batch if carries else batch.afresh()
        loss = accumulate(self.accelerator, self.model, fed, self.carry, self.rows_at_once, carries)
        self.carry = loss.state
        norm = self.accelerator.clip_grad_norm_(self.model.parameters(), config.optim.clip)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        return loss, norm

    def _mark(self) -> Mark:
        return Mark(self.step, self.clock.seconds)

    def _late(self) -> bool:
        return 0 < self.config.minutes <= self.clock.seconds / 60

    def _log(self, loss: BatchLoss, norm: torch.Tensor, frames: int, since: Mark) -> dict[str, float]:
        """Write one line of training metrics, averaged over the processes; each trains on `frames` a step."""
        self._check_finite(loss, norm)
        terms = self.accelerator.reduce({"loss": loss.total.detach(), **loss.terms}, "mean")
        values = {name: term.item() for name, term in terms.items()}
        values |= {"grad_norm": norm.item(), "lr": self.optimizer.param_groups[0]["lr"]}
        now = self._mark()
        frames *= (now.step - since.step) * self.accelerator.num_processes
        values["frames_per_second"] = frames / (now.seconds - since.seconds)  # since the line before
        values["peak_memory_gb"] = peak_memory(self.accelerator.device)
        self._write("train", values)
        return values

    def _write(self, kind: str, values: dict[str, float]) -> None:
        self.report.write(self.step, kind, values | {"seconds": self.clock.seconds})

    def _check_finite(self, loss: BatchLoss, norm: torch.Tensor) -> None:
        total = self.accelerator.reduce(loss.total, "mean")  # of all processes: none goes on and waits for the others
        if not (torch.isfinite(total) and torch.isfinite(norm)):
            good = latest(self.config.out)
            raise ValueError(
                f"the loss or its gradient is not finite at step {self.step} (loss {total.item()}, gradient norm "
                f"{norm.item()}); the last good checkpoint is {good or 'none: the run had saved nothing yet'}"
            )

    def _validate(self) -> None:
        """Measure the loss on validation episodes; keep the best model."""
        config = self.config
        episodes = self.validation[: config.validation_episodes]
        batches = batches_of(self.dataset, episodes, self.rows_at_once)
        means = validate(self.unwrapped, self.dataset, batches, config.seed, self.accelerator)
        self._write("validation", means)
        if means["loss"] < self.best:
            self.best = means["loss"]
            if self.accelerator.is_main_process:
                save_best(config.out, self.unwrapped, self._describe())

    def _describe(self) -> dict[str, Any]:
        return describe(
            self.config.world_model,
            self.step,
            validation=self.best,
            seconds=self.clock.seconds,
            parameters=self.parameters,
            train=to_dict(self.config),
        )

    def _save(self) -> None:
        """Write a checkpoint from which the run goes on exactly, then drop the older ones."""
        own = gather_own(self.accelerator, self.carry)
        if self.accelerator.is_main_process:
            state = {
                "step": self.step,
                "best": self.best,
                "optimizer": self.optimizer.state_dict(),
                "seconds": self.clock.seconds,
                **own,
            }
            save_training(self.config.out, self.unwrapped, self._describe(), state)

    def _restore(self, checkpoint: Path) -> None:
        """Put everything back to where `_save` was called."""
        load_weights(self.unwrapped, checkpoint)
        state = read_state(checkpoint / TRAINER_STATE)
        self.optimizer.load_state_dict(state["optimizer"])
        self.step, self.best = state["step"], state["best"]
        self.clock.set(state["seconds"])
        restore_noise(state, self.accelerator, self.config.seed, self.step)
        if self.sampler.carries:
            rows = self.sampler.rows
            self.carry = restore_carry(state, self.unwrapped.initial(len(rows)), rows, self.accelerator.device)

    def _agreed(self, seen: End) -> End:
        """Return what any process has seen: all must leave the loop at the same step.

        On GPUs they ask each other only every `log_every` steps, since it makes the host wait.
        """
        if self.accelerator.num_processes == 1:
            return seen
        if self.accelerator.device.type != "cpu" and self.step % self.config.log_every:
            return End(0, False)
        return End(*map(max, zip(*gather_object([seen]), strict=True)))

    def _open_run(self) -> None:
        """Begin the log, and say what starts."""
        config = self.config
        if self.accelerator.is_main_process:
            record_run(config)
        facts = {"model": config.model, "steps": config.steps, "seed": config.seed}
        self.report = RunReport(self.accelerator, config.out, self.step, config.tracker, facts)
        start = f"from step {self.step}" if self.step else "from scratch"
        where = f"{self.accelerator.device.type} x {self.accelerator.num_processes}"
        self.accelerator.print(
            f"{config.model}: {self.parameters:,} parameters on {where}, "
            f"{len(self.train)} training episodes of {self.dataset.info.spec.length} steps, {start} to {config.steps}"
        )
        if self.accelerator.device.type == "cpu" and self.parameters > LARGE and self.step < config.steps:
            row = read_batch(self.dataset, self.sampler.batch(0)[:1])
            seconds = seconds_a_row(self.unwrapped, row) * len(self.sampler.rows)
            hours = seconds * (config.steps - self.step) / 3600
            hours = min(hours, config.minutes / 60) if config.minutes else hours
            self.accelerator.print(f"on this CPU that takes about {hours:,.1f} hours")


def run(arguments: Sequence[str]) -> int:
    """Train as the command line says; return the exit status."""
    config = parse(arguments)
    check_out(config)
    trainer = Trainer(config)
    try:
        asked = trainer.fit()
    except torch.OutOfMemoryError as error:
        raise ValueError(too_many_rows(trainer.rows_at_once)) from error
    memory = peak_memory(trainer.accelerator.device)
    best = f"best validation loss {trainer.best:.2f}, " if math.isfinite(trainer.best) else ""
    trainer.accelerator.print(
        f"step {trainer.step} of {config.steps}: {best}peak memory {memory:.2f} GB, in {config.out}"
    )
    if asked:
        trainer.accelerator.print("stopped and saved; the same command with --resume goes on from here")
        return 128 + asked
    return 0


def main() -> None:
    """Run `train_wm.py`; what the user got wrong is one line and exit status 2."""
    try:
        status = run(sys.argv[1:])
    except torch.OutOfMemoryError:
        status = fail_together("train_wm", "the GPU's memory is too small for the model")
    except (ValueError, OSError) as error:
        status = fail_together("train_wm", str(error))
    leave(status)
