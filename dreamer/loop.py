"""The online loop: act, store, learn from what is stored, and again. `Loop.run` shows it whole.

Everything is counted in environment steps of all processes together. Each process plays environments of its own into a
replay of its own and takes its share of every batch; gradients are averaged over them.
"""

from __future__ import annotations

import math
from contextlib import AbstractContextManager, ExitStack, closing, nullcontext
from typing import Any, NamedTuple

import torch
from accelerate.utils import gather_object
from tqdm import tqdm

from ..worldmodels.checkpoint import latest
from ..worldmodels.clock import TrainingClock
from ..worldmodels.config import to_dict
from ..worldmodels.device import generator_state, make_accelerator, peak_memory, restore_generator, spawned_seed
from ..worldmodels.interrupt import StopRequest
from ..worldmodels.run_folder import check_disk, lock, record
from ..worldmodels.run_log import METRICS, read_log
from ..worldmodels.run_report import RunReport
from ..worldmodels.train_config import RUN_CONFIG
from ..worldmodels.trainer import End
from . import checkpoint
from .config import DreamerConfig
from .curve import draw_curve
from .environments.catalogue import ONLINE
from .environments.vector import Envs
from .episodes import Outcome, summary
from .evaluation import Examination
from .films import save_film
from .learner import Learner
from .means import Means
from .player import Player
from .replay import Replay
from .schedule import crossed, updates_due
from .shares import share_of
from .stored import replay_info

SHOWN = ("return", "success")  # by the bar
CURVE, FILMS, REPLAY = "curve.png", "films", "replay"
TORCH, ENVIRONMENTS, CONTENTS, EXAMINATION, PLAY = range(5)  # what has random numbers of its own, in every process


class Mark(NamedTuple):
    """A moment of a run."""

    steps: int
    updates: int
    seconds: float  # of the training clock


class Loop:
    """A run in progress."""

    def __init__(self, config: DreamerConfig) -> None:
        self.config, self.accelerator = config, make_accelerator(config)
        self.share = share_of(config, self.accelerator.num_processes)
        self.clock = TrainingClock(self.accelerator.device)
        self.steps = self.episodes = 0
        self.means = Means()  # these two since the last line of the log
        self.outcomes: list[Outcome] = []
        environment = ONLINE[config.env]
        with ExitStack() as held:  # given back if the run cannot begin
            held.enter_context(self._take_folder())
            envs = held.enter_context(self._envs(self.share.envs, ENVIRONMENTS))
            examined = held.enter_context(self._envs(min(self.share.envs, self.share.episodes), EXAMINATION))
            self.learner = Learner(config, envs.discrete, self.accelerator)
            self.player = Player(envs, self.learner.mind, environment.success)
            self.examination = Examination(examined, self.share.episodes, environment.success, self._seed(EXAMINATION))
            found = latest(config.out)
            state = None if found is None else checkpoint.read(found, self.learner)
            if state is None and config.checkpoint is not None:
                self.learner.take_over(config.checkpoint)
            check_disk(config.out, self.learner.parameters)
            # last, for what is refused until here has left nothing in the way of a better command
            self.replay = held.enter_context(self._open_replay())
            torch.manual_seed(self._seed(TORCH))
            if state is None:
                self.replay.clear()  # a run that was killed before it had saved
            else:
                self._restore(state)
            self._open_run()
            self.held = held.pop_all()

    def run(self) -> int | None:
        """Go on until `env_steps` or `minutes`, or until asked to stop; return the signal that asked, if any."""
        config, end = self.config, End(0, self._late())
        self.since = self._mark()
        with self.held, self._bar() as bar, StopRequest() as stop, self.clock.running():
            while self.steps < config.env_steps and not (end.late or end.signal):
                before = self.steps
                self._act()
                self._learn()
                bar.update(self.steps - before)
                end = self._agreed(End(stop.signal or 0, self._late()))
                last = end.late or self.steps >= config.env_steps
                if last or crossed(before, self.steps, config.log_every):
                    self._log(bar)
                if last or crossed(before, self.steps, config.evaluate_every):
                    with self.clock.stopped():
                        self._evaluate()
                if last or end.signal or crossed(before, self.steps, config.save_every):
                    with self.clock.stopped():
                        self._save()
        self.report.close()
        return end.signal or None

    def _act(self) -> None:
        """Take one step in every environment, and store it."""
        played = self.player.play(by_chance=self.steps < self.config.prefill)
        self.replay.add(played.steps, self.player.envs.sides)
        self.steps += self.config.envs
        self.outcomes += [outcome for outcome in played.outcomes if outcome is not None]

    def _learn(self) -> None:
        """Make the updates that are owed by now."""
        config, learner = self.config, self.learner
        due = updates_due(self.steps, config.prefill, config.train_ratio, config.batch_steps)
        while learner.updates < due:
            batch = self.replay.sample(self.share.rows, config.batch_length, learner.updates, config.starts)
            self.means.add(learner.update(batch.to(self.accelerator.device)))

    def _log(self, bar: tqdm) -> None:
        """Write a line of what happened since the line before, averaged over the processes."""
        outcomes = gather_object(self.outcomes)
        means = self._checked(self.means.take())
        self.outcomes, self.episodes = [], self.episodes + len(outcomes)
        now, before = self._mark(), self.since
        self.since = now
        seconds = now.seconds - before.seconds
        speeds = {
            "env_steps_per_second": (self.steps - before.steps) / seconds,
            "trained_steps_per_second": (self.learner.updates - before.updates) * self.config.batch_steps / seconds,
        }
        counts = {
            "episodes": self.episodes,
            "updates": self.learner.updates,
            "replay_steps": self.replay.steps * self.accelerator.num_processes,
            "peak_memory_gb": peak_memory(self.accelerator.device),
        }
        self._write("train", means | (played := summary(outcomes)) | counts | speeds)
        shown = {"episodes": f"{self.episodes:,}"} | {name: f"{played[name]:.2f}" for name in SHOWN if name in played}
        bar.set_postfix(shown | ({"loss": f"{means['loss']:.1f}"} if means else {}), refresh=False)

    def _evaluate(self) -> None:
        """Play the episodes of the evaluation; draw the curve, and one of them beside its imagination."""
        played = self.examination(self.learner.mind)
        outcomes = gather_object(played.outcomes)
        self._write("evaluation", {**summary(outcomes), "episodes": len(outcomes)})
        if self.accelerator.is_main_process:
            out = self.config.out
            draw_curve(read_log(out / METRICS), f"{self.config.env}, {self.config.model}", out / CURVE)
            if self.config.films:
                save_film(self.learner.mind, played.example, out / FILMS / f"{self.steps:010d}")

    def _write(self, kind: str, values: dict[str, float]) -> None:
        self.report.write(self.steps, kind, values | {"seconds": self.clock.seconds})

    def _checked(self, means: dict[str, float]) -> dict[str, float]:
        """Return the means over the processes.

        Raises:
            ValueError: in every process, if one is not finite.
        """
        parts = gather_object([means])
        means = {name: sum(part[name] for part in parts) / len(parts) for name in parts[0]}
        strange = [name for name, value in means.items() if not math.isfinite(value)]
        if strange:
            good = latest(self.config.out)
            raise ValueError(
                f"{strange[0]} is not finite at environment step {self.steps}, update {self.learner.updates}; the last "
                f"good checkpoint is {good or 'none: the run had saved nothing yet'}"
            )
        return means

    def _save(self) -> None:
        """Write a checkpoint; never one of weights that are broken, for the good one before it is removed then."""
        self._checked(self.means.so_far())
        shared = {"step": self.steps, "episodes": self.episodes, "seconds": self.clock.seconds}
        own = {
            "generators": generator_state(self.accelerator.device),
            "player": self.player.state(),
            "replay": self.replay.state(),
            "means": self.means.state(),
            "outcomes": [tuple(outcome) for outcome in self.outcomes],
        }
        checkpoint.save(self.config, self.learner, shared, own)

    def _restore(self, state: dict[str, Any]) -> None:
        """Put everything back to where `_save` was called; the learner is back already."""
        device, own = self.accelerator.device, state["own"]
        self.steps, self.episodes = state["step"], state["episodes"]
        self.clock.set(state["seconds"])
        self.player.restore(own["player"])
        self.replay.restore(own["replay"])
        self.means.restore(own["means"], device)
        self.outcomes = [Outcome(*outcome) for outcome in own["outcomes"]]
        restore_generator(own["generators"], device)

    def _seed(self, purpose: int) -> int:
        return spawned_seed(self.config.seed, self.accelerator.process_index, purpose)

    def _envs(self, count: int, purpose: int) -> AbstractContextManager[Envs]:
        return closing(Envs(ONLINE[self.config.env], self.config.options, count, self._seed(purpose)))

    def _open_replay(self) -> Replay:
        """Return this process' replay.

        Raises:
            ValueError: what is in its place is not of a run.
        """
        index = self.accelerator.process_index
        folder = self.config.out / (f"{REPLAY}-{index}" if index else REPLAY)
        if folder.exists() and not (self.config.out / RUN_CONFIG).exists():
            raise ValueError(f"{folder} is there already, and {self.config.out} holds no run: choose another --out")
        info = replay_info(self.config.env, self.config.options, self.config.seed)
        return Replay(folder, info, self.share.capacity, self._seed(CONTENTS), self.config.replay)

    def _mark(self) -> Mark:
        return Mark(self.steps, self.learner.updates, self.clock.seconds)

    def _late(self) -> bool:
        return 0 < self.config.minutes <= self.clock.seconds / 60

    def _agreed(self, seen: End) -> End:
        """Return what any process has seen: all must leave the loop at the same step."""
        return End(*map(max, zip(*gather_object([seen]), strict=True)))

    def _take_folder(self) -> AbstractContextManager[Any]:
        """Make the run folder, and keep it to this run: the main process holds the lock."""
        if not self.accelerator.is_main_process:
            return nullcontext()
        self.config.out.mkdir(parents=True, exist_ok=True)
        return lock(self.config.out)

    def _bar(self) -> tqdm:
        main, total = self.accelerator.is_main_process, self.config.env_steps
        return tqdm(total=total, initial=self.steps, unit="step", disable=not main, dynamic_ncols=True)

    def _open_run(self) -> None:
        """Begin the log, and say what starts."""
        config, learner, envs = self.config, self.learner, self.player.envs
        if self.accelerator.is_main_process:
            record(config.out, {"dreamer": to_dict(config)}, config.replay)
        facts = {"env": config.env, "model": config.model, "seed": config.seed}
        self.report = RunReport(self.accelerator, config.out, self.steps, config.tracker, facts)
        start = f"from step {self.steps:,}" if self.steps else "from scratch"
        kind = f"{envs.actions} {'discrete' if envs.discrete else 'continuous'} actions"
        where = f"{self.accelerator.device.type} x {self.accelerator.num_processes}"
        self.accelerator.print(
            f"{config.env} ({kind}), {config.model}: {learner.parameters:,} parameters on {where}, "
            f"{config.envs} environments, an update of "
            f"{config.batch_size} x {config.batch_length} steps every {config.batch_steps / config.train_ratio:g} "
            f"environment steps, {start} to {config.env_steps:,}"
        )
