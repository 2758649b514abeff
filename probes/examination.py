"""The examination: a probe, the constant answer, and a probe that is fed the right answers, on episodes not trained on.

Every process trains, but what is marked on all of them is the probe of the first; the episodes to be marked are dealt
among them, and the marks are added up.

Axes: T steps, N marked episodes, K pictured steps, (...) the shape of one step's output.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from accelerate import PartialState
from accelerate.utils import broadcast
from torch import Tensor, nn

from ..datasets.bar import progress_bar
from ..datasets.reader import EpisodeDataset
from ..eval import intervals
from ..eval.intervals import Interval
from ..eval.metrics import Errors, SquaredError
from .examples import Examples, asked, real
from .features import Features
from .task import Measure, Task
from .training import Training, train

PROBE, CONSTANT, LABELS = "probe", "constant", "labels"  # the rows of a table


class Outputs(NamedTuple):
    """What is said of N steps. A probe says the same twice; the best constant of the query is not that of all steps."""

    query: Tensor  # (N ...), marked where the headline is
    whole: Tensor  # (N ...), marked at every step


Answering = Callable[[Tensor], Outputs]  # of inputs (N I)


class Marks(NamedTuple):
    """The scores of one row."""

    query: Errors  # the headline: from the end of the context on
    whole: Errors  # its curve is the score per step


class Row(NamedTuple):
    """What one way of answering scores."""

    marks: Marks
    answering: Answering
    examples: Examples  # what it is given
    seconds: float  # it took to train


class Examined(NamedTuple):
    """All that was found about one task."""

    task: Task
    rows: dict[str, Row]


class Protocol(NamedTuple):
    """On what a task is examined."""

    source: EpisodeDataset
    train: Sequence[int]  # episodes
    test: Sequence[int]  # (N) episodes
    training: Training
    device: torch.device
    progress: bool = False


def examine(task: Task, rows: Sequence[str], features: Features | None, protocol: Protocol) -> Examined:
    """Return what the rows asked for score at a task; without features there is no row PROBE."""
    return Examined(task, {name: _row(task, name, features, protocol) for name in rows})


def _row(task: Task, name: str, features: Features | None, protocol: Protocol) -> Row:
    examples = Examples(task, protocol.source, features if name == PROBE else None)
    begun = time.perf_counter()
    if name == CONSTANT:
        answering = _constant(examples, protocol)
    else:
        answering = _probe(examples, protocol, f"{task.name}: training the {name}")
    seconds = time.perf_counter() - begun
    return Row(mark(examples, answering, protocol), answering, examples, seconds)


def _constant(examples: Examples, protocol: Protocol) -> Answering:
    def fitted(counted: Callable[[EpisodeDataset, int], Tensor], label: str) -> Tensor:
        targets, quiet = examples.targets(protocol.train, counted), not _shown(protocol)
        label = f"{examples.task.name}: constant of {label}"
        return examples.task.constant(progress_bar(targets, label, len(protocol.train), unit="episode", disable=quiet))

    best = Outputs(fitted(asked, "the query"), fitted(real, "every step"))
    return lambda inputs: Outputs(*(output.expand(len(inputs), *output.shape) for output in best))


def _probe(examples: Examples, protocol: Protocol, label: str) -> Answering:
    shown = label if _shown(protocol) else None
    probe = train(examples, protocol.train, protocol.training, protocol.device, shown)
    broadcast(list(probe.state_dict().values()))  # in place: rounding may have led the processes apart
    return lambda inputs: _answers(probe, inputs, protocol.device)


@torch.no_grad()
def _answers(probe: nn.Module, inputs: Tensor, device: torch.device) -> Outputs:
    output = probe(inputs.to(device)).cpu()
    return Outputs(output, output)


def _shown(protocol: Protocol) -> bool:
    return protocol.progress and PartialState().is_main_process


def mark(examples: Examples, answering: Answering, protocol: Protocol) -> Marks:
    """Mark the answers to every episode of the test. Padding does not count, nor do steps that ask nothing."""
    state, source, test = PartialState(), protocol.source, protocol.test
    steps = max(source.length(episode) for episode in test)
    # these sum up any number per step, which process ever saw the episode
    whole, query = SquaredError(steps, len(test)).to(state.device), SquaredError(steps, len(test)).to(state.device)
    for index in range(len(test))[state.process_index :: state.num_processes]:
        example = examples.read(test[index])
        outputs = answering(example.inputs)
        for metric, output, counts in ((query, outputs.query, asked), (whole, outputs.whole, real)):
            score = examples.task.score(output, example.target)
            counted = counts(source, test[index]) & ~score.isnan()
            score, counted = (F.pad(x, (0, steps - len(x)))[None] for x in (score, counted))
            metric.update(*(x.to(state.device) for x in (score, counted, torch.tensor([index]))))
    return Marks(query.compute(), whole.compute())


def mean_of_episodes(found: Errors, measure: Measure) -> Interval:
    """Return the mean over the episodes that were marked at all, with its 95 % interval.

    The normal one; where every episode is all right or all wrong, Wilson's. Accuracies stay within 0 and 1. Not a
    number where no episode was marked.
    """
    values = found.episodes[np.isfinite(found.episodes)]
    if not len(values):
        return Interval(math.nan, math.nan, math.nan)
    if measure is Measure.SQUARED_ERROR:
        return intervals.mean(values)
    if np.isin(values, (0, 1)).all():
        return intervals.proportion(int(values.sum()), len(values))
    value, low, high = intervals.mean(values)
    return Interval(value, max(0.0, low), min(1.0, high))
