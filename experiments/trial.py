"""A scale cut down to a trial: its very models and data, a few steps of each, to see that everything works."""

from __future__ import annotations

from dataclasses import replace

from .plan import Options
from .scales import Scale, ScaledData, ScaledTable

EPISODES = 4  # that are measured, and validated on
SHORT = {"batches": 1, "rounds": 1, "batch": 1, "time": 100, "rows": 1, "context": 20, "horizon": 20}  # of a benchmark
TRAINING: Options = {"validation_episodes": EPISODES, "log_every": 1}


def trial(scale: Scale, steps: int) -> Scale:
    """Return a scale whose runs are of so many steps each, of one seed, and measured once, on a few episodes.

    Raises:
        ValueError: there is no step.
    """
    if steps < 1:
        raise ValueError(f"--steps {steps}: 1 or more")
    words = f"a trial of {steps:,} steps a run"
    return replace(
        scale,
        about=f"{words} at: {scale.about}",
        not_comparable=f"{words} shows that everything works, its figures say nothing",
        data={name: _data(data) for name, data in scale.data.items()},
        tables={name: _table(table, steps) for name, table in scale.tables.items()},
        train=scale.train | TRAINING | {"steps": steps},
        rounds=[1.0],
    )


def _data(data: ScaledData) -> ScaledData:
    models = {model: _without(options) for model, options in data.models.items()}
    return replace(data, train=_without(data.train), models=models)


def _without(options: Options) -> Options:
    """Return options without those that a trial sets for all."""
    return {name: value for name, value in options.items() if name not in ("steps", *TRAINING)}


def _table(table: ScaledTable, steps: int) -> ScaledTable:
    few: Options = {"episodes": EPISODES}
    if "task" in table.evaluate:
        few |= {"train_episodes": EPISODES, "steps": steps}
    benchmark = table.benchmark | SHORT if table.benchmark else {}
    return replace(
        table, seeds=table.seeds[:1], rounds=[], evaluate=table.evaluate | few, on_the_way={}, benchmark=benchmark
    )
