"""Small data sets of every kind that probes fit, and models that know the answers."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from pathlib import Path

import torch

from longdream.collectors.catalogue import ENVIRONMENTS
from longdream.collectors.cli import main as collect
from longdream.collectors.rollout import array_specs
from longdream.datasets.info import DatasetInfo
from longdream.datasets.reader import EpisodeDataset
from longdream.datasets.splits import Splits
from longdream.eval.trials import stack
from longdream.probes.catalogue import fitting
from longdream.probes.examples import sides_of
from longdream.probes.task import Task
from longdream.worldmodels.base import Beliefs, Latent, WorldModel

EPISODES = 12
SPLIT = "8/1/3"
KINDS = {
    "memory_maze_9x9": ("--size", "8", "--frames", "on-read"),
    "two_rooms": ("--size", "8", "--frames", "on-read"),
    "distracting_memory": ("--width", "14"),
    "multi_doors_keys_two": (),
}


def info_of(kind: str) -> DatasetInfo:
    """Return what a data set of this kind says of itself, without collecting one."""
    environment = ENVIRONMENTS[kind]
    arrays = array_specs(environment, environment.options)
    spec = environment.spec(environment.options)
    return DatasetInfo(kind, {}, spec, 0, EPISODES, Splits.from_text(SPLIT), arrays, EPISODES)


PAIRS = [(kind, task.name) for kind in KINDS for task in fitting(info_of(kind))]


def collected(root: Path, kind: str) -> EpisodeDataset:
    """Collect a data set of this kind."""
    words = ["--env", kind, *KINDS[kind], "--n", str(EPISODES), "--split", SPLIT, "--workers", "1", "--seed", "3"]
    collect([*words, "--out", str(root)])
    return EpisodeDataset(root)


def small(task: Task, hidden: int = 64) -> Task:
    """Return the task with a narrower probe, which trains in a moment."""
    copied = copy.copy(task)
    copied.hidden = hidden  # type: ignore[misc]
    return copied


class Stub(WorldModel):
    """A model of which only `observe` is asked."""

    def initial(self, *_):
        raise AssertionError("probing does nothing but observe")

    def step_cache(self):
        return self.initial()

    def imagine_step(self, *_):
        return self.initial()

    def predict(self, *_):
        return self.initial()

    def forward(self, *_):
        return self.initial()


class Knowing(Stub):
    """Its h IS the right answer: it was given the episodes beforehand, and knows each by its actions and frames."""

    def __init__(self, task: Task, source: EpisodeDataset, episodes: Sequence[int]) -> None:
        super().__init__()
        batches = {episode: stack([source.episode(episode)]) for episode in episodes}
        self.answers = {
            self.key(batch.obs[0], batch.action[0]): task.as_features(task.target(sides_of(task, source, episode)))
            for episode, batch in batches.items()
        }

    @staticmethod
    def key(obs, action):
        return obs.contiguous().numpy().tobytes(), action.contiguous().numpy().tobytes()

    def observe(self, batch, state=None, generators=None):
        deter = torch.stack([self.answers[self.key(*pair)] for pair in zip(batch.obs, batch.action, strict=True)])
        stoch = torch.zeros(*deter.shape[:2], 2, 3)
        stoch[..., 1] = 1
        return Beliefs(Latent(deter, stoch), torch.zeros(0), torch.zeros(0), None)


class Dreaming(Stub):
    """Holds nothing in mind but noise, from the generators it is given; counts the episodes that it saw."""

    def __init__(self, fails_at: int | None = None) -> None:
        super().__init__()
        self.seen, self.fails_at = 0, fails_at

    def observe(self, batch, state=None, generators=None):
        if self.fails_at is not None and self.seen >= self.fails_at:
            raise KeyboardInterrupt
        self.seen += len(batch.obs)
        deter = torch.stack([torch.randn(batch.obs.shape[1], 5, generator=g) for g in generators])
        classes = torch.stack([torch.randint(3, (batch.obs.shape[1], 4), generator=g) for g in generators])
        return Beliefs(Latent(deter, torch.eye(3)[classes]), torch.zeros(0), torch.zeros(0), None)
