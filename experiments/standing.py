"""Where a table stands: its figures by data set, model and seed, read from the run folders alone.

What is partial is shown fairly: on a data set the rows are taken from the latest round that every model has come to
with one seed at least (models that have failed do not hold the others up), so that they have had equal shares of their
steps.
"""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean, stdev
from typing import NamedTuple

from ..eval.findings import percent
from .plan import Run, SweepConfig
from .progress import evaluated, failure, progress
from .results import Result, result
from .tables import Metric, figure


class Standing(NamedTuple):
    """One model on one data set."""

    data: str
    model: str
    runs: list[Run]  # of every seed that is planned
    results: list[Result]  # of the seeds that are at the table's round
    share: float | None  # of the steps, at that round; None: no model is at any
    steps: int  # that are planned
    trained: int  # steps that the newest checkpoints of all seeds have, together
    failed: dict[int, str]  # why seeds failed

    def values(self, metric: Metric) -> list[float]:
        """Return a metric's figures, one a seed that has it."""
        found = [figure(each.measured, metric.path) for each in self.results]
        return [value for value in found if value is not None]

    def floor(self, path: tuple[str | int, ...]) -> float | None:
        """Return the mean of a floor over the seeds."""
        found = [value for each in self.results if (value := figure(each.measured, path)) is not None]
        return fmean(found) if found else None

    @property
    def complete(self) -> bool:
        """Whether every seed is measured at its last step."""
        return self.share == 1 and len(self.results) == len(self.runs)


class Spread(NamedTuple):
    """A mean over seeds."""

    mean: float
    deviation: float | None  # standard deviation of the seeds; None: there is one seed


def spread(values: Sequence[float]) -> Spread | None:
    """Return the mean and the spread of figures of several seeds; None: there are none."""
    if not values:
        return None
    return Spread(fmean(values), stdev(values) if len(values) > 1 else None)


def standings(config: SweepConfig) -> list[Standing]:
    """Return where every model stands on every data set, in the order of the table."""
    return [
        _standing(config, data, model, share)
        for data in config.data
        for share in [fair_share(config, data)]
        for model in config.models
    ]


def fair_share(config: SweepConfig, data: str) -> float | None:
    """Return the share of the steps at the latest round that every model on a data set has come to with some seed.

    Where there is no such round, the latest that any has come to; None: none has come to any.
    """
    runs = [run for run in config.runs() if run.data == data]
    at = {share: {run.model for run in runs if at_share(config, run, share)} for share in config.rounds}
    wanted = {run.model for run in runs if failure(config, run) is None}
    fair = [share for share, there in at.items() if there and wanted <= there]
    return max(fair or [share for share, there in at.items() if there], default=None)


def at_share(config: SweepConfig, run: Run, share: float) -> bool:
    """Return whether a run was measured at a share of its steps."""
    return evaluated(config, run, config.stop(run, share))


def _standing(config: SweepConfig, data: str, model: str, share: float | None) -> Standing:
    runs = [run for run in config.runs() if (run.data, run.model) == (data, model)]
    there = [] if share is None else [run for run in runs if at_share(config, run, share)]
    reasons = {run.seed: failure(config, run) for run in runs}
    return Standing(
        data=data,
        model=model,
        runs=runs,
        results=[result(run, config.stop(run, share)) for run in there if share is not None],
        share=share,
        steps=config.steps_of(runs[0]),
        trained=sum(min(progress(run).step, config.steps_of(run)) for run in runs),
        failed={seed: reason for seed, reason in reasons.items() if reason is not None},
    )


def in_words(standing: Standing) -> str:
    """Say how far a model is: seeds, steps, and what failed."""
    planned = len(standing.runs)
    if standing.results:
        step = standing.results[0].step
        text = f"{len(standing.results)} of {planned} seeds, {step:,} of {standing.steps:,} steps"
    else:
        text = f"0 of {planned} seeds"
    if not standing.complete and standing.trained:
        text += f" ({percent(standing.trained / (planned * standing.steps))} trained)"
    if standing.failed:
        text += f"; {len(standing.failed)} failed"
    return text
