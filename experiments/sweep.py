"""A sweep: runs are trained to equal steps and measured, in rounds, then those that were faster go on to equal time.

There is no state but its folders: started again after a stop, a crash or kill -9, it does what is left.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple

from ..datasets.folder import open_folder
from ..datasets.info import INFO
from .children import Failed, Stopped
from .commands import collect_command, measure_command, train_command
from .described import is_there
from .plan import SLOWEST, Run, SweepConfig
from .progress import (
    ASKED,
    FEATURES,
    LOGS,
    evaluated,
    evaluation_folder,
    failure_path,
    log_path,
    progress,
    seconds_at,
    target_minutes,
    timed_step,
    too_slow,
)
from .results import headline, result
from .schedule import Deadline, Job
from .session import Session
from .watch import Watch, say


class Outcome(NamedTuple):
    """How a sweep ended."""

    failed: dict[str, str]  # what failed, and why
    signal: int | None  # that stopped it
    late: bool  # its time was over before its work


class Sweep:
    """A sweep in progress.

    Args:
        config: what is to be done.
        deadline: when it ends; by default after its work.
        news: is called, in the main thread, after runs have been measured or have failed.
    """

    def __init__(
        self, config: SweepConfig, deadline: Deadline | None = None, news: Callable[[], None] | None = None
    ) -> None:
        self.config = config
        self._tell, self._has_news = news, False
        self.runs = config.runs()
        self.session = Session(config.threads, deadline)
        self.children = self.session.children
        self.failed: dict[str, str] = {}

    def run(self) -> Outcome:
        """Do what is left; return what failed, and what stopped it."""
        self.preflight()
        with self.session, Watch(self.config, self.session.deadline) as watch:
            self._all([Job(name, partial(self._collect, name)) for name in self.config.data], watch, at_once=1)
            ready = [run for run in self.runs if run.data not in self.failed]
            self._all(self._rounds(ready), watch, self.config.parallel)
            if self.config.minutes is not None:
                jobs = [Job(run.name, partial(self._equal_time, run)) for run in ready if self._has_minutes(run)]
                self._all(jobs, watch, self.config.parallel)
        return Outcome(self.failed, self.session.signal, self.session.late)

    def preflight(self) -> None:
        """Say what will be done, and how far it is."""
        config = self.config
        steps = sorted({config.steps_of(run) for run in self.runs})
        what = f"{len(self.runs)} runs of {' to '.join(f'{n:,}' for n in dict.fromkeys((steps[0], steps[-1])))} steps"
        if config.minutes is not None:
            what += (
                ", then for as long as the slowest took"
                if config.minutes == SLOWEST
                else f", then {config.minutes} min"
            )
        say(f"{what}, {config.parallel} at once with {config.threads} threads each, in {config.out}")
        for run in self.runs:
            say(f"  {run.name:<{self._width}}  {self._standing(run)}")

    @property
    def _width(self) -> int:
        return max(len(run.name) for run in self.runs)

    def _standing(self, run: Run) -> str:
        here = progress(run)
        if not here.step:
            return "to do"
        steps = self.config.steps_of(run)
        done = evaluated(self.config, run, steps)
        over = too_slow(self.config, run) or timed_step(self.config, run) is not None
        if done and (self.config.minutes is None or over):
            return f"done: {here.step:,} steps in {here.seconds / 60:.3g} min"
        what = "equal steps done" if done else f"of {steps:,}"
        return f"at step {here.step:,} after {here.seconds / 60:.3g} min, {what}"

    def _rounds(self, runs: Sequence[Run]) -> list[Job]:
        """Return what is to be done for equal steps: a seed after the other, all its runs coming to a round in turn."""
        stages = [
            (self.config.seeds.index(run.seed), number, Job(run.name, partial(self._equal_steps, run, step)))
            for run in runs
            for number, step in enumerate(self.config.stops(run))
        ]
        return [job for _, _, job in sorted(stages, key=lambda stage: stage[:2])]

    def _all(self, jobs: list[Job], watch: Watch, at_once: int) -> None:
        def look(running: Sequence[str]) -> None:
            watch.look(running)
            if self._has_news and self._tell is not None:
                self._has_news = False
                self._tell()

        self.session.do(jobs, at_once, self._note, look)

    def _note(self, name: str, error: BaseException) -> None:
        if isinstance(error, Stopped):
            return
        if not isinstance(error, Failed | ValueError | OSError):
            raise error
        self.failed[name], self._has_news = str(error), True
        for run in self.runs:
            if name in (run.name, run.data):
                failure_path(self.config, run).parent.mkdir(parents=True, exist_ok=True)
                failure_path(self.config, run).write_text(f"{error}\n")
        say(f"{name:<{self._width}}  FAILED: {error}")

    def _collect(self, name: str) -> None:
        """Make or complete a data set."""
        data = self.config.data[name]
        if data.collect and not is_there(data):
            say(f"{name}: collecting into {data.path}")
            self.children.run(collect_command(data), self.config.out / LOGS / f"{name}.log")
        elif not data.collect and not open_folder(data.path).has(INFO):
            raise ValueError(f"there is no data set in {data.path}; data.{name}.collect could say how to make it")

    def _equal_steps(self, run: Run, step: int) -> None:
        """Train a run to `step`, and measure it there; a round that it was past before it was asked for is left out."""
        failure_path(self.config, run).unlink(missing_ok=True)
        if evaluated(self.config, run, step):
            return
        self.children.wait_for_folder(run.folder)
        here = progress(run)
        if here.step > step:
            if step < self.config.steps_of(run):
                return
            raise ValueError(
                f"it is at step {here.step:,} already and was not evaluated at {step:,}: remove {run.folder}, or take "
                "more steps"
            )
        if here.step < step:
            self._train(run, step)
        self._evaluate(run, step, "equal steps")

    def _has_minutes(self, run: Run) -> bool:
        """Return whether a run can go on to equal time; say so where the slowest is not known."""
        if target_minutes(self.config, run.data) is None:
            say(f"{run.name:<{self._width}}  equal time: waits until every run on {run.data} is through its steps")
            return False
        return evaluated(self.config, run, self.config.steps_of(run))

    def _equal_time(self, run: Run) -> None:
        """Train a run until its clock is at the minutes of its data set, and evaluate it there."""
        minutes = target_minutes(self.config, run.data)
        assert minutes is not None
        if too_slow(self.config, run):
            took = seconds_at(run, self.config.steps_of(run)) / 60
            say(f"{run.name:<{self._width}}  equal time: left out, its steps took {took:.3g} of {minutes:.3g} min")
            return
        self.children.wait_for_folder(run.folder)
        if progress(run).seconds / 60 < minutes:
            self._train(run, minutes=minutes)
        if timed_step(self.config, run) is None:
            self._evaluate(run, progress(run).step, "equal time")

    def _train(self, run: Run, stop_at: int = 0, minutes: float = 0.0) -> None:
        here = progress(run)
        until = f"to {minutes:.3g} min" if minutes else f"to step {stop_at:,} of {self.config.steps_of(run):,}"
        say(f"{run.name:<{self._width}}  training from step {here.step:,} {until}")
        self.children.run(train_command(self.config, run, stop_at, minutes), log_path(self.config, run))

    def _evaluate(self, run: Run, step: int, stage: str) -> None:
        """Evaluate a run; the folder appears under its name when it is whole."""
        final = evaluation_folder(run, step)
        part = final.with_name(f".evaluation-{os.getpid()}.part")  # a killed sweep's child may still write into its own
        self.children.run(measure_command(self.config, run, step, part), log_path(self.config, run))
        (part / ASKED).write_text(json.dumps(self.config.asked(run, step)))
        shutil.rmtree(final, ignore_errors=True)  # one that was asked for differently
        part.rename(final)
        for left in run.folder.glob(".evaluation-*.part"):
            shutil.rmtree(left)
        shutil.rmtree(run.folder / FEATURES, ignore_errors=True)  # of a probed model: as large as its data set
        found = result(run, step)
        self._has_news = True
        say(f"{run.name:<{self._width}}  {stage}: {step:,} steps in {found.minutes:.3g} min, {headline(found)}")
