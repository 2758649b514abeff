"""What is in a data set, in words."""

from __future__ import annotations

import numpy as np

from .episode import ArraySpec
from .info import DatasetInfo, step_bytes
from .reader import EpisodeDataset
from .splits import SPLITS

TO_GO_ON = " (run the same `collect` command again to go on)"
SAMPLE = 64  # episodes whose actions and rewards are counted


def describe(dataset: EpisodeDataset) -> str:
    """Return a table of a data set's settings, sizes and statistics."""
    info = dataset.info
    options = ", ".join(f"{key}={value}" for key, value in info.options.items()) or "none"
    splits = ", ".join(f"{name} {len(dataset.split(name)):,}" for name in SPLITS[:-1])
    rows = [
        ("environment", f"{info.environment} (options: {options})"),
        ("episodes", f"{len(dataset):,} of {info.episodes:,}{'' if len(dataset) >= info.episodes else TO_GO_ON}"),
        ("splits", f"{splits} (ratio {info.splits})"),
        ("steps", f"{_lengths(dataset)}; context {info.spec.context}, query {info.spec.query}"),
        ("seed", f"{info.seed} (begun with longdream {info.longdream})"),
        ("on disk", _sizes(dataset)),
        *((f"array {name}", _array(spec) + _drawn(info, name)) for name, spec in info.arrays.items()),
        *_statistics(dataset),
    ]  # fmt: skip
    return "\n".join(f"{name:<20} {value}" for name, value in rows)


def _array(spec: ArraySpec) -> str:
    shape = ", ".join(map(str, (("T",) if spec.per_step else ()) + spec.shape))
    return f"{spec.dtype} ({shape}){'' if spec.per_step else ' an episode'}"


def _drawn(info: DatasetInfo, name: str) -> str:
    return "" if name in info.stored else f", drawn on reading (renderer {info.options['renderer']})"


def _lengths(dataset: EpisodeDataset) -> str:
    if len(dataset) == 0:
        return "none"
    low, high = int(dataset.lengths.min()), int(dataset.lengths.max())
    return f"{low} in every episode" if low == high else f"{low} to {high}, mean {dataset.lengths.mean():.1f}"


def _sizes(dataset: EpisodeDataset) -> str:
    disk = dataset.disk_bytes()
    if disk == 0:
        return "nothing yet"
    raw = sum(step_bytes(spec) * (int(dataset.lengths.sum()) if spec.per_step else len(dataset))
              for spec in dataset.info.arrays.values())  # fmt: skip
    return f"{disk / 1e6:,.1f} MB, {raw / disk:.1f} times smaller than the {raw / 1e6:,.1f} MB it decodes to"


def _statistics(dataset: EpisodeDataset) -> list[tuple[str, str]]:
    """Count actions and rewards over evenly spread episodes."""
    if len(dataset) == 0:
        return []
    count = min(SAMPLE, len(dataset))
    sample = dataset.indices[np.linspace(0, len(dataset) - 1, count).astype(int)]
    actions = np.concatenate([dataset.read("action", int(e), start=1) for e in sample])  # (N A); step 0 has no action
    rewards = [dataset.read("reward", int(e)) for e in sample]
    total = np.array([reward.sum() for reward in rewards])
    every = np.concatenate(rewards)
    return [
        (f"of {count} episodes:", ""),
        ("mean of each action", " ".join(f"{mean:.3f}" for mean in actions.mean(0)) if len(actions) else "none"),
        ("reward", f"{every.min():g} to {every.max():g}, not 0 in {np.mean(every != 0):.2%} of the steps"),
        ("return", f"mean {total.mean():.3f}, {total.min():g} to {total.max():g}"),
    ]
