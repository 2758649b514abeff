"""What online runs came to: those that differ by their seed alone stand together, models side by side.

Source of the figures: each run's metrics.jsonl. Chance is what its own prefill earned.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ..eval.table import NONE
from ..worldmodels.config import TYPE
from ..worldmodels.run_log import METRICS, read_log
from ..worldmodels.train_config import RUN_CONFIG, flat
from .config import CHANGEABLE
from .saved import KEY

# what a run was asked for that needs no mention: it is shown anyway, or decides nothing of what is learned
PLAIN = {
    "env",
    "model",
    "seed",
    *CHANGEABLE,
    "no_films",
    "evaluate_every",
    "evaluation_episodes",
    "log_every",
    "save_every",
}


class Task(NamedTuple):
    """What was played."""

    env: str
    options: tuple[tuple[str, Any], ...]  # the environment's own, by name

    def __str__(self) -> str:
        return ", ".join([self.env, *(f"{name} {value}" for name, value in self.options)])


class Run(NamedTuple):
    """An online run, as far as it is by now."""

    folder: Path
    task: Task
    model: str
    settings: dict[str, Any]  # all that decides what is learned but the seed, by dotted names
    asked: tuple[str, ...]  # which of these its command named, as "--batch-length 64"
    seed: int
    planned: int  # environment steps
    prefill: int
    lines: list[dict[str, Any]]  # of its metrics.jsonl
    origin: dict[str, Any]  # command, commit and hardware

    @property
    def evaluations(self) -> list[dict[str, Any]]:
        """The lines of its evaluations; one at least."""
        return [line for line in self.lines if line["kind"] == "evaluation"]

    @property
    def steps(self) -> int:
        """The environment step of its last evaluation."""
        return self.evaluations[-1]["step"]


class Group(NamedTuple):
    """Runs that differ by their seed alone."""

    task: Task
    model: str  # and what tells it from the others
    runs: list[Run]  # by seed

    def curve(self, measure: str) -> tuple[np.ndarray, np.ndarray]:
        """Return the steps at which every seed was evaluated, (S), and the `measure` there, (seeds S)."""
        each = [{line["step"]: line[measure] for line in run.evaluations} for run in self.runs]
        shared = sorted(set.intersection(*map(set, each)))
        return np.array(shared), np.array([[values[step] for step in shared] for values in each])


def read_run(folder: Path) -> Run:
    """Read a run.

    Raises:
        ValueError: there is none of the online loop, or it was not evaluated yet.
    """
    try:
        record = json.loads((folder / RUN_CONFIG).read_text())
        config = record[KEY]
    except (OSError, json.JSONDecodeError, KeyError, TypeError) as error:
        raise ValueError(f"{folder} holds no run of train_dreamer.py ({error!r})") from None
    options = tuple((name, value) for name, value in config["options"].items() if name != TYPE)
    run = Run(
        folder,
        Task(config["env"], options),
        config["model"],
        flat({name: value for name, value in config.items() if name not in {*PLAIN, "options"}}),
        _asked(record["provenance"]["command"], {*PLAIN, *config["options"]}),
        config["seed"],
        config["env_steps"],
        config["prefill"],
        read_log(folder / METRICS),
        record["provenance"],
    )
    if not run.evaluations:
        raise ValueError(f"{folder} has no evaluation yet: wait for its first, after --evaluate-every steps")
    return run


def _asked(command: str, but: set[str]) -> tuple[str, ...]:
    """Return the options of a command but some, however they are written, in the order of their names."""
    options: list[list[str]] = []
    for word in shlex.split(command):
        if word.startswith("--"):
            name, *value = word.split("=", 1)
            options.append([name.replace("_", "-"), *value])
        elif options:
            options[-1].append(word)
    return tuple(sorted(" ".join(option) for option in options if option[0][2:].replace("-", "_") not in but))


def grouped(runs: Sequence[Run]) -> list[Group]:
    """Return the runs by task, model and settings, in the order of the tasks' names and options; seeds in order.

    Models whose commands differ have the options that do as part of their name; where these do not tell them apart
    (another commit's defaults, a --config), what differs in their settings.

    Raises:
        ValueError: two runs are of the same task, model, settings and seed.
    """
    shared = set.intersection(*(set(run.asked) for run in runs))
    found: dict[tuple[Task, str, str], dict[int, Run]] = {}
    for run in runs:
        seeds = found.setdefault((run.task, run.model, json.dumps(run.settings, sort_keys=True)), {})
        if run.seed in seeds:
            raise ValueError(
                f"{seeds[run.seed].folder} and {run.folder} are of the same task, model, settings and seed"
            )
        seeds[run.seed] = run
    groups = []
    for (task, model, _), seeds in found.items():
        options = set.intersection(*(set(run.asked) for run in seeds.values())) - shared
        groups.append(Group(task, " ".join([model, *sorted(options)]), [seeds[seed] for seed in sorted(seeds)]))
    return sorted((_told_apart(group, groups) for group in groups), key=lambda group: group[:2])


def _told_apart(group: Group, groups: Sequence[Group]) -> Group:
    """Add to a group's name the settings that not all groups of that name share."""
    mine = group.runs[0].settings
    alike = [other.runs[0].settings for other in groups if other[:2] == group[:2]]
    differing = [name for name in mine if any(mine[name] != other.get(name) for other in alike)]
    return group._replace(model=" ".join([group.model, *(f"{name} {mine[name]}" for name in sorted(differing))]))


def chance(groups: Sequence[Group], measure: str) -> float | None:
    """Return the mean over the episodes that chance ended in groups of one task; None where it ended none."""
    total, count = 0.0, 0
    for run in (run for group in groups for run in group.runs):
        before = 0
        for line in run.lines:
            if line["kind"] == "train" and line["step"] <= run.prefill:
                played, before = line["episodes"] - before, line["episodes"]
                if measure in line:
                    total, count = total + played * line[measure], count + played
    return total / count if count else None


def where_from(groups: Sequence[Group]) -> str:
    """Say with which commits and on which machines the runs were begun, and whether any is not at its end."""
    runs = [run for group in groups for run in group.runs]
    commits = dict.fromkeys(run.origin["commit"][:7] + run.origin["commit"][40:] for run in runs)
    machines = dict.fromkeys(
        ", ".join([run.origin["hardware"]["processor"], *run.origin["hardware"]["gpus"]]) for run in runs
    )
    going = sum(run.steps < run.planned for run in runs)
    unfinished = f" {going} of {len(runs)} runs have not come to their last step." if going else ""
    return f"{' and '.join(machines)}; runs begun with commit {', '.join(commits)}.{unfinished}"


def markdown(groups: Sequence[Group]) -> list[str]:
    """Return a table: a row for each group, and one for chance below the rows of a task."""
    rows = ["| task | model | seeds | environment steps | updates | minutes a seed | return | successes |"]
    rows += ["| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: |"]
    for place, group in enumerate(groups):
        rows.append(_row(group))
        if place + 1 == len(groups) or groups[place + 1].task != group.task:
            task = [each for each in groups if each.task == group.task]
            floor = " | ".join(_mean(chance(task, name), name) for name in ("return", "success"))
            rows.append(f"| *{group.task}* | *chance (floor)* | | | | | {floor} |")
    return rows


def _row(group: Group) -> str:
    last = [run.evaluations[-1] for run in group.runs]
    updates = [max((line["updates"] for line in run.lines if "updates" in line), default=0) for run in group.runs]
    cells = [
        str(group.task),
        group.model,
        str(len(group.runs)),
        _range([run.steps for run in group.runs]),
        _range(updates),
        f"{np.mean([line['seconds'] for line in last]) / 60:.1f}",
        _spread([line["return"] for line in last], "return"),
        _spread([line["success"] for line in last], "success") if "success" in last[0] else NONE,
    ]
    return f"| {' | '.join(cells)} |"


def _range(counts: Sequence[int]) -> str:
    least, most = min(counts), max(counts)
    return f"{least:,}" if least == most else f"{least:,} to {most:,}"


def _mean(value: float | None, measure: str) -> str:
    if value is None:
        return NONE
    return f"*{100 * value:.1f} %*" if measure == "success" else f"*{value:.3g}*"


def _spread(values: Sequence[float], measure: str) -> str:
    mean, spread = np.mean(values), np.std(values, ddof=1) if len(values) > 1 else None
    if measure == "success":
        return f"{100 * mean:.1f} %" + ("" if spread is None else f" ± {100 * spread:.1f}")
    return f"{mean:.3g}" + ("" if spread is None else f" ± {spread:.2g}")
