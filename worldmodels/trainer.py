"""The trainer: one loop for every world model, on one device or many through Accelerate, resumable to the bit on a CPU.

It knows a model by the contract of `base.py` only. Data order is a pure function of the step, the learning rate too; a
checkpoint holds the weights, the optimiser, torch's generator of every process, the step and the best validation.
"""

from __future__ import annotations

import math
import os
import shutil
import sys
import time
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import torch
from accelerate.utils import gather_object
from tqdm import tqdm

from ..datasets.batch import Batch
from ..datasets.loader import Loader, read_batch
from ..datasets.reader import EpisodeDataset
from ..datasets.samplers import WholeTrajectories
from .base import Loss, WorldModel
from .checkpoint import BEST, CHECKPOINTS, build, describe, latest, load_weights, save_model, whole_folder
from .config import to_dict
from .device import generator_state, make_accelerator, peak_memory, restore_generator
from .interrupt import StopRequest
from .optim import build_optimizer, lr_factor, set_lr
from .run_folder import check_disk, check_out, lock, record_run
from .run_log import RunLog
from .train_config import TrainConfig, check_fits, parse

TRAINER_STATE = "trainer.pt"
METRICS = "metrics.jsonl"
LARGE = 10_000_000  # parameters from which a CPU run is announced with an estimate of its length


class Trainer:
    """A run in progress."""

    def __init__(self, config: TrainConfig) -> None:
        self.config = config
        self.accelerator = make_accelerator(config)
        self.dataset = EpisodeDataset(config.data)
        check_fits(config, self.dataset.info)
        self.train, self.validation = (self.dataset.split(name) for name in ("train", "validation"))
        if not len(self.train) or not len(self.validation):
            raise ValueError(
                f"{config.data} has {len(self.train)} training and {len(self.validation)} validation episodes"
            )
        self.sampler = WholeTrajectories(
            self.train, config.batch_size, config.seed, self.accelerator.process_index, self.accelerator.num_processes
        )
        torch.manual_seed(config.seed)  # the same weights in every process
        model = build(config.world_model)
        optimizer = build_optimizer(model, config.optim)
        self.parameters = sum(p.numel() for p in model.parameters())
        self.model, self.optimizer = self.accelerator.prepare(model, optimizer)
        self.step, self.best = 0, math.inf
        self.lock: AbstractContextManager[Any] = nullcontext()  # the main process keeps the run folder to itself
        torch.manual_seed(_process_seed(config.seed, self.accelerator.process_index))  # latents differ by process
        checkpoint = latest(config.out) if config.resume else None
        if checkpoint is not None:
            self._restore(checkpoint)
        self._open_run()

    @property
    def unwrapped(self) -> WorldModel:
        """The model without DDP's wrapper, autocast kept."""
        return self.accelerator.unwrap_model(self.model, keep_fp32_wrapper=True)

    def fit(self) -> int | None:
        """Train until `config.steps`, or until asked to stop; return the signal that asked, if one did."""
        config, main = self.config, self.accelerator.is_main_process
        gpu = self.accelerator.device if self.accelerator.device.type == "cuda" else None
        threads = config.loader_threads
        loader = Loader(self.dataset, self.sampler, self.step, threads, pin_memory=gpu is not None, draw_on=gpu)
        bar = tqdm(total=config.steps, initial=self.step, unit="step", disable=not main, dynamic_ncols=True)
        asked, logged, began = None, self.step, time.perf_counter()
        with self.lock, loader as batches, bar, StopRequest() as stop:
            for batch in batches:
                if self.step >= config.steps:
                    break
                loss, norm = self._update(batch.to(self.accelerator.device))
                self.step += 1
                bar.update()
                last = self.step == config.steps
                if last or self.step % config.log_every == 0:
                    frames = (self.step - logged) * batch.first.numel() * self.accelerator.num_processes
                    line = self._log(loss, norm, frames / (time.perf_counter() - began))
                    logged, began = self.step, time.perf_counter()
                    bar.set_postfix(
                        loss=f"{line['loss']:.1f}", frames_s=f"{line['frames_per_second']:.0f}", refresh=False
                    )
                asked = self._agreed(stop.signal)
                if last or self.step % config.validate_every == 0:
                    self._validate()
                if last or asked or self.step % config.save_every == 0:
                    self._check_finite(loss, norm)
                    self._save()
                if asked:
                    break
        if self.config.tracker != "none":
            self.accelerator.end_training()
        return asked

    def _update(self, batch: Batch) -> tuple[Loss, torch.Tensor]:
        """Take one optimiser step; return the loss and the gradient's norm, both still on the device."""
        config = self.config
        set_lr(self.optimizer, lr_factor(self.step, config.steps, config.optim))
        loss = self.model(batch)
        self.accelerator.backward(loss.total)
        norm = self.accelerator.clip_grad_norm_(self.model.parameters(), config.optim.clip)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        return loss, norm

    def _log(self, loss: Loss, norm: torch.Tensor, frames_per_second: float) -> dict[str, float]:
        """Write one line of training metrics, averaged over the processes."""
        self._check_finite(loss, norm)
        terms = self.accelerator.reduce({"loss": loss.total.detach(), **loss.terms}, "mean")
        values = {name: term.item() for name, term in terms.items()}
        values |= {"grad_norm": norm.item(), "lr": self.optimizer.param_groups[0]["lr"]}
        values["frames_per_second"] = frames_per_second  # since the line before, validation and saving included
        values["peak_memory_gb"] = peak_memory(self.accelerator.device)
        self._write("train", values)
        return values

    def _write(self, kind: str, values: dict[str, float]) -> None:
        if self.accelerator.is_main_process:
            self.log.write(self.step, kind, values)
        if self.config.tracker != "none":
            self.accelerator.log({f"{kind}/{name}": value for name, value in values.items()}, step=self.step)

    def _check_finite(self, loss: Loss, norm: torch.Tensor) -> None:
        if not (torch.isfinite(loss.total) and torch.isfinite(norm)):
            good = latest(self.config.out)
            raise ValueError(
                f"the loss or its gradient is not finite at step {self.step} (loss {loss.total.item()}, gradient norm "
                f"{norm.item()}); the last good checkpoint is {good or 'none: the run had saved nothing yet'}"
            )

    @torch.no_grad()
    def _validate(self) -> None:
        """Measure the loss on validation episodes, with latents drawn from a seed of their own; keep the best model."""
        config, rank, processes = self.config, self.accelerator.process_index, self.accelerator.num_processes
        size = max(1, config.batch_size // processes)
        episodes = self.validation[: config.validation_episodes]
        batches = [episodes[start : start + size] for start in range(0, len(episodes), size)]
        sums: dict[str, torch.Tensor] = {}
        devices = [self.accelerator.device] if self.accelerator.device.type == "cuda" else []
        with torch.random.fork_rng(devices):
            for index in range(rank, len(batches), processes):
                torch.manual_seed(_process_seed(config.seed, index))
                batch = read_batch(self.dataset, batches[index]).to(self.accelerator.device)
                loss = self.unwrapped(batch)
                for name, term in {"loss": loss.total, **loss.terms}.items():
                    sums[name] = sums.get(name, torch.zeros(())).double() + term.double().cpu() * len(batches[index])
        gathered = gather_object([{name: value.item() for name, value in sums.items()}])
        names = {name: None for part in gathered for name in part}
        means = {name: sum(part.get(name, 0.0) for part in gathered) / len(episodes) for name in names}
        self._write("validation", means)
        if means["loss"] < self.best:
            self.best = means["loss"]
            self._save_best()

    def _save_best(self) -> None:
        if self.accelerator.is_main_process:
            with whole_folder(self.config.out / BEST) as folder:
                save_model(folder, self.unwrapped, self._describe())

    def _describe(self) -> dict[str, Any]:
        return describe(self.config.world_model, self.step, validation=self.best, train=to_dict(self.config))

    def _save(self) -> None:
        """Write a checkpoint from which the run goes on exactly, then drop the older ones."""
        generators = gather_object([generator_state(self.accelerator.device)])
        if not self.accelerator.is_main_process:
            return
        folders = self.config.out / CHECKPOINTS
        older = list(folders.glob("[0-9]*"))
        final = folders / f"{self.step:08d}"
        with whole_folder(final) as folder:
            save_model(folder, self.unwrapped, self._describe())
            state = {
                "step": self.step,
                "best": self.best,
                "optimizer": self.optimizer.state_dict(),
                "generators": generators,
            }
            torch.save(state, folder / TRAINER_STATE)
        for folder in older:
            if folder != final:
                shutil.rmtree(folder)

    def _restore(self, checkpoint: Path) -> None:
        """Put everything back to where `_save` was called."""
        load_weights(self.unwrapped, checkpoint)
        state = torch.load(checkpoint / TRAINER_STATE, map_location="cpu", weights_only=True)
        processes = self.accelerator.num_processes
        if len(state["generators"]) != processes:
            raise ValueError(
                f"{checkpoint} was saved by {len(state['generators'])} processes and cannot go on exactly with "
                f"{processes}: launch {len(state['generators'])}"
            )
        self.optimizer.load_state_dict(state["optimizer"])
        self.step, self.best = state["step"], state["best"]
        restore_generator(state["generators"][self.accelerator.process_index], self.accelerator.device)

    def _agreed(self, signal: int | None) -> int | None:
        """Return a signal that any process has seen: all must leave the loop at the same step.

        On GPUs they ask each other only every `log_every` steps, since it makes the host wait.
        """
        if self.accelerator.num_processes == 1:
            return signal
        if self.accelerator.device.type != "cpu" and self.step % self.config.log_every:
            return None
        return max(gather_object([signal or 0])) or None

    def _open_run(self) -> None:
        """Make the run folder, and say what starts."""
        config, out = self.config, self.config.out
        if self.accelerator.is_main_process:
            check_disk(out, self.parameters)
            out.mkdir(parents=True, exist_ok=True)
            self.lock = lock(out)
            record_run(config)
            self.log = RunLog(out / METRICS, self.step)
        if config.tracker != "none":
            self.accelerator.init_trackers(
                "longdream", {"model": config.model, "steps": config.steps, "seed": config.seed}
            )
        start = f"from step {self.step}" if self.step else "from scratch"
        where = f"{self.accelerator.device.type} x {self.accelerator.num_processes}"
        self.accelerator.print(
            f"{config.model}: {self.parameters:,} parameters on {where}, "
            f"{len(self.train)} training episodes of {self.dataset.info.spec.length} steps, {start} to {config.steps}"
        )
        if self.accelerator.device.type == "cpu" and self.parameters > LARGE and self.step < config.steps:
            hours = self._seconds_a_step() * (config.steps - self.step) / 3600
            self.accelerator.print(f"on this CPU that takes about {hours:,.1f} hours")

    def _seconds_a_step(self) -> float:
        """Time forward and backward on one episode, and scale to this process' share of a batch. Draws nothing."""
        episode = read_batch(self.dataset, self.train[:1])
        with torch.random.fork_rng([]):
            self.unwrapped(episode).total.backward()
            began = time.perf_counter()
            self.unwrapped(episode).total.backward()
            seconds = time.perf_counter() - began
        self.optimizer.zero_grad(set_to_none=True)
        return seconds * self.config.batch_size / self.accelerator.num_processes


def _process_seed(seed: int, index: int) -> int:
    """Return the seed of torch's generator for a process, or for a validation batch."""
    return int(np.random.SeedSequence(seed, spawn_key=(index,)).generate_state(1, np.uint64)[0] >> np.uint64(1))


def run(arguments: Sequence[str]) -> int:
    """Train as the command line says; return the exit status."""
    config = parse(arguments)
    check_out(config)
    trainer = Trainer(config)
    asked = trainer.fit()
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
        status = fail("the GPU's memory is too small: lower --batch-size, or use more processes")
    except (ValueError, OSError) as error:
        status = fail(str(error))
    finally:
        if torch.distributed.is_initialized():
            torch.distributed.destroy_process_group()
    sys.exit(status)


def fail(message: str) -> int:
    """Say what is wrong, once where all processes know it, and by rank where one alone may; return the exit status."""
    rank = os.environ.get("RANK", "0")
    if rank == "0" or torch.distributed.is_initialized():
        who = f", process {rank}" if rank != "0" else ""
        print(f"train_wm{who}: {message}", file=sys.stderr)
    return 2
