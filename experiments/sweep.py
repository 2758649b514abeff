"""A sweep: every run is trained to equal steps and evaluated, then those that were faster go on to equal time.

There is no state but the run folders: started again after a stop, a crash or kill -9, it does what is left.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
from collections.abc import Callable, Iterable
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from functools import partial
from pathlib import Path
from typing import NamedTuple

from ..datasets.folder import open_folder
from ..datasets.info import INFO
from ..eval.findings import number
from ..worldmodels.interrupt import StopRequest
from .children import Children, Failed, Stopped
from .plan import SLOWEST, Run, SweepConfig, collect_command, evaluate_command, train_command
from .progress import ASKED, evaluated, evaluation_folder, progress, seconds_at, target_minutes, timed_step, too_slow
from .results import result

TICK = 0.2  # seconds between looks for a signal


class Outcome(NamedTuple):
    """How a sweep ended."""

    failed: dict[str, str]  # what failed, and why
    signal: int | None  # that stopped it


class Sweep:
    """A sweep in progress."""

    def __init__(self, config: SweepConfig, say: Callable[[str], None] = print) -> None:
        self.config, self.say = config, say
        self.runs = config.runs()
        self.children = Children(config.threads)
        self.failed: dict[str, str] = {}
        self.signal: int | None = None

    def run(self) -> Outcome:
        """Do what is left; return what failed, and the signal that stopped it."""
        self.preflight()
        with StopRequest() as stop:
            try:
                self._all({name: partial(self._collect, name) for name in self.config.data}, stop, at_once=1)
                ready = [run for run in self.runs if run.data not in self.failed]
                self._all({run.name: partial(self._equal_steps, run) for run in ready}, stop, self.config.parallel)
                if self.config.minutes is not None:
                    ready = [run for run in ready if self._has_minutes(run)]
                    self._all({run.name: partial(self._equal_time, run) for run in ready}, stop, self.config.parallel)
            except Stopped:
                self.say("stopped; the same command goes on from here")
        return Outcome(self.failed, self.signal)

    def preflight(self) -> None:
        """Say what will be done, and how far it is."""
        config = self.config
        what = f"{len(self.runs)} runs of {config.steps:,} steps"
        if config.minutes is not None:
            what += (
                ", then for as long as the slowest took"
                if config.minutes == SLOWEST
                else f", then {config.minutes} min"
            )
        self.say(f"{what}, {config.parallel} at once with {config.threads} threads each, in {config.out}")
        for run in self.runs:
            self.say(f"  {run.name:<{self._width}}  {self._standing(run)}")

    @property
    def _width(self) -> int:
        return max(len(run.name) for run in self.runs)

    def _standing(self, run: Run) -> str:
        here = progress(run)
        if not here.step:
            return "to do"
        done = evaluated(self.config, run, self.config.steps)
        over = too_slow(self.config, run) or timed_step(self.config, run) is not None
        if done and (self.config.minutes is None or over):
            return f"done: {here.step:,} steps in {here.seconds / 60:.3g} min"
        what = "equal steps done" if done else f"of {self.config.steps:,}"
        return f"at step {here.step:,} after {here.seconds / 60:.3g} min, {what}"

    def _all(self, jobs: dict[str, Callable[[], None]], stop: StopRequest, at_once: int) -> None:
        """Do jobs, some at once; note which fail.

        Raises:
            Stopped: a signal came; what ran has saved and ended.
        """
        with ThreadPoolExecutor(at_once) as pool:
            names = {pool.submit(job): name for name, job in jobs.items()}
            left: set[Future[None]] = set(names)
            try:
                while left:
                    done, left = wait(left, TICK, FIRST_COMPLETED)
                    self._note(done, names)
                    if stop.signal and not self.children.stopping:
                        self.signal = stop.signal
                        self.children.stop(stop.signal)
            except KeyboardInterrupt:  # a second Ctrl-C
                self.signal = signal.SIGINT
                self.children.stop(signal.SIGINT)
        self.children.check()

    def _note(self, done: Iterable[Future[None]], names: dict[Future[None], str]) -> None:
        for future in done:
            name, error = names[future], future.exception()
            if isinstance(error, Stopped):
                continue
            if isinstance(error, Failed | ValueError | OSError):
                self.failed[name] = str(error)
                self.say(f"{name:<{self._width}}  FAILED: {error}")
            elif error is not None:
                raise error

    def _collect(self, name: str) -> None:
        """Make or complete a data set."""
        data = self.config.data[name]
        if data.collect:
            self.children.run(collect_command(data), self.config.out / "logs" / f"{name}.log")
        elif not open_folder(data.path).has(INFO):
            raise ValueError(f"there is no data set in {data.path}; data.{name}.collect could say how to make it")

    def _equal_steps(self, run: Run) -> None:
        """Train a run to the sweep's steps, and evaluate it there."""
        steps = self.config.steps
        if evaluated(self.config, run, steps):
            return
        self.children.wait_for_folder(run.folder)
        here = progress(run)
        if here.step > steps:
            raise ValueError(
                f"it is at step {here.step:,} already and was not evaluated at {steps:,}: remove {run.folder}, or take "
                "more steps"
            )
        if here.step < steps:
            self._train(run, 0.0)
        self._evaluate(run, steps, "equal steps")

    def _has_minutes(self, run: Run) -> bool:
        """Return whether a run can go on to equal time; say so where the slowest is not known."""
        if target_minutes(self.config, run.data) is None:
            self.say(f"{run.name:<{self._width}}  equal time: waits until every run on {run.data} is through its steps")
            return False
        return evaluated(self.config, run, self.config.steps)

    def _equal_time(self, run: Run) -> None:
        """Train a run until its clock is at the minutes of its data set, and evaluate it there."""
        minutes = target_minutes(self.config, run.data)
        assert minutes is not None
        if too_slow(self.config, run):
            took = seconds_at(run, self.config.steps) / 60
            self.say(f"{run.name:<{self._width}}  equal time: left out, its steps took {took:.3g} of {minutes:.3g} min")
            return
        self.children.wait_for_folder(run.folder)
        if progress(run).seconds / 60 < minutes:
            self._train(run, minutes)
        if timed_step(self.config, run) is None:
            self._evaluate(run, progress(run).step, "equal time")

    def _train(self, run: Run, minutes: float) -> None:
        here = progress(run)
        until = f"to {minutes:.3g} min" if minutes else f"to step {self.config.steps:,}"
        self.say(f"{run.name:<{self._width}}  training from step {here.step:,} {until}")
        self.children.run(train_command(self.config, run, minutes), self._log(run))

    def _evaluate(self, run: Run, step: int, stage: str) -> None:
        """Evaluate a run; the folder appears under its name when it is whole."""
        final = evaluation_folder(run, step)
        part = final.with_name(f".evaluation-{os.getpid()}.part")  # a killed sweep's child may still write into its own
        self.children.run(evaluate_command(self.config, run, part), self._log(run))
        (part / ASKED).write_text(json.dumps(self.config.evaluate))
        shutil.rmtree(final, ignore_errors=True)  # one that was asked for differently
        part.rename(final)
        for left in run.folder.glob(".evaluation-*.part"):
            shutil.rmtree(left)
        found = result(run, step)
        self.say(
            f"{run.name:<{self._width}}  {stage}: {step:,} steps in {found.minutes:.3g} min, generation MSE "
            f"{number(found.mse('generation'))} (copy last {number(found.mse('copy_last'))})"
        )

    def _log(self, run: Run) -> Path:
        return self.config.out / "logs" / f"{run.data}-{run.model}-{run.seed}.log"
