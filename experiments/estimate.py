"""What a plan will cost, before it is started: hours and bytes, of what is left to do."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from statistics import median
from typing import NamedTuple

import numpy as np

from ..datasets.info import DatasetInfo
from ..worldmodels.families import build
from ..worldmodels.presets import PRESETS, SIZES, Preset, family_name, resolve
from .described import described, is_there
from .plan import Options, Run, SweepConfig
from .progress import evaluated, log_until, progress
from .scales import Speed

STORED_BYTES = 90.0  # of a 2D frame, compressed (RESULTS.md, "Collecting": 86 at width 14, 52 at width 100)
DRAWN_BYTES = 15.0  # of a frame that is drawn when it is read (30 million in 440 MB)
CHECKPOINT_BYTES = 4 * 8  # of a parameter: two checkpoints with Adam's moments, two of the best weights
FEATURE_BYTES = 4200.0  # of a step of the widest model, the RSSM, when it is probed
BESIDE = 5.0  # seconds of a process besides what it is there for


class Cost(NamedTuple):
    """What one run costs."""

    run: Run
    steps: int  # that are left
    frames: int  # of a step
    training: float | None  # seconds; None: not known
    measuring: float | None
    measured_speed: bool  # that of the model's runs, not the scale's

    @property
    def seconds(self) -> float | None:
        """All of it."""
        return None if self.training is None or self.measuring is None else self.training + self.measuring


class Disk(NamedTuple):
    """Bytes that will be written."""

    data: float
    runs: float
    features: float  # while models are probed


def costs(config: SweepConfig, speed: Speed) -> list[Cost]:
    """Return what every run still costs."""
    infos = {name: described(data.collect) for name, data in config.data.items()}
    return [_cost(config, run, infos[run.data], speed) for run in config.runs()]


def _cost(config: SweepConfig, run: Run, info: DatasetInfo, speed: Speed) -> Cost:
    options = config.options(run.model, run.data)
    size = SIZES[info.arrays["image"].shape[0]]
    preset = preset_of(options, info)
    rows = int(options.get("batch_size", preset.batch_size))
    frames = rows * (int(options.get("window", preset.window)) or info.spec.length)
    left = max(0, config.steps_of(run) - progress(run).step)
    alike = [other for other in config.runs() if (other.data, other.model) == (run.data, run.model)]
    own = [line["frames_per_second"] for each in alike for line in log_until(each, config.steps_of(each))]
    rate = median(own) if own else _rate(speed.training, size, options["model"])
    training = left * frames / rate if rate else None
    measured_at = _rate(speed.measuring, size, options["model"]) or rate  # where it is not known, as fast as training
    return Cost(run, left, frames, training, _measuring(config, run, info, measured_at), bool(own))


def _measuring(config: SweepConfig, run: Run, info: DatasetInfo, rate: float | None) -> float | None:
    """Return the seconds of all measurements that are left, at so many frames a second."""
    if rate is None:
        return None
    seconds = 0.0
    for step in config.stops(run):
        if not evaluated(config, run, step):
            seconds += _episodes(config, info, config.asked(run, step)) * info.spec.length / rate + 2 * BESIDE
    return seconds


def _episodes(config: SweepConfig, info: DatasetInfo, asked: Options) -> int:
    """Return how many episodes a model watches when it is measured: the test split; a probe's training split too."""

    def size(split: str) -> int:
        return len(info.splits.select(split, np.arange(info.episodes)))

    trained_on = asked.get("train_episodes", size("train")) if config.measure == "probe" else 0
    return int(asked.get("episodes", size("test")) + trained_on)


def preset_of(options: Options, info: DatasetInfo) -> Preset:
    """Return the preset that a model's options name."""
    return PRESETS[resolve(options["model"], info.arrays["image"].shape[0])]


def _rate(known: dict[str, dict[str, float]], size: str, model: str) -> float | None:
    """Return a model's frames a second; of its family, or the slowest that is known, where it is not in the list."""
    rates = known.get(size, {})
    return rates.get(family_name(model), min(rates.values(), default=None))


def hours(found: Iterable[Cost], parallel: int) -> float | None:
    """Return how long it takes with so many runs at once; None: not known."""
    seconds = [cost.seconds for cost in found]
    known = [value for value in seconds if value is not None]
    return sum(known) / parallel / 3600 if len(known) == len(seconds) else None


def disk(config: SweepConfig) -> Disk:
    """Return how much will be written: of data sets that are not there, and of runs that are not begun."""
    data = 0.0
    for part in config.data.values():
        info = described(part.collect)
        if not is_there(part):
            data += info.episodes * info.spec.length * (STORED_BYTES if info.recipe is None else DRAWN_BYTES)
    features = 0.0
    sizes: Counter[str] = Counter()
    for run in config.runs():
        info = described(config.data[run.data].collect)
        if config.measure == "probe":
            watched = _episodes(config, info, config.evaluate) * info.spec.length
            features = max(features, config.parallel * watched * FEATURE_BYTES)
        if not run.folder.exists():
            sizes[resolve(config.options(run.model, run.data)["model"], info.arrays["image"].shape[0])] += 1
    runs = sum(count * parameters(name) * CHECKPOINT_BYTES for name, count in sizes.items())
    return Disk(data, runs, features)


def parameters(preset: str) -> int:
    """Return how many parameters a preset's model has."""
    return sum(parameter.numel() for parameter in build(PRESETS[preset].model).parameters())
