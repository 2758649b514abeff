"""What is in a data set, in words."""

from __future__ import annotations

from collections.abc import Callable

from .info import step_bytes
from .reader import EpisodeDataset
from .splits import SPLITS
from .statistics import count

TRAINED_ON = "; the run itself trains on all of them"
TO_GO_ON = " (run the same `collect` command again to go on)"


def describe(dataset: EpisodeDataset, progress: Callable[[int, int], object] = lambda done, total: None) -> str:
    """Return a table of a data set's settings, sizes and statistics.

    Args:
        dataset: what to describe. Its small arrays are read; its frames are not.
        progress: called with the episodes counted and their total.
    """
    info = dataset.info
    options = ", ".join(f"{key}={value}" for key, value in info.options.items()) or "none"
    splits = ", ".join(f"{name} {len(dataset.split(name)):,}" for name in SPLITS[:-1])
    rows = [
        ("environment", f"{info.environment} (options: {options})"),
        ("episodes", _episodes(dataset)),
        ("splits", f"{splits} (ratio {info.splits}{'' if info.capacity is None else TRAINED_ON})"),
        ("steps", f"{_lengths(dataset)}; context {info.spec.context}, query {info.spec.query}"),
        ("seed", f"{info.seed} (begun with longdream {info.longdream})"),
        ("on disk", _sizes(dataset)),
        *((f"array {name}", _array(dataset, name)) for name in info.arrays),
        *(count(dataset, progress).rows() if len(dataset) else []),
    ]  # fmt: skip
    return "\n".join(f"{name:<20} {value}" for name, value in rows)


def _episodes(dataset: EpisodeDataset) -> str:
    """Say how many there are, and how many there are to be."""
    info, there = dataset.info, len(dataset)
    if info.capacity is None:
        return f"{there:,} of {info.episodes:,}{'' if there >= info.episodes else TO_GO_ON}"
    which = f", number {dataset.indices[0]:,} to {dataset.indices[-1]:,}" if there else ""
    return f"{there:,}{which}: the replay of an online run, which keeps the last {info.capacity:,} steps"


def _array(dataset: EpisodeDataset, name: str) -> str:
    """Say what an array is, and what it takes."""
    info, spec = dataset.info, dataset.info.arrays[name]
    shape = ", ".join(map(str, (("T",) if spec.per_step else ()) + spec.shape))
    drawn = "" if name in info.stored else f", drawn on reading (renderer {info.options['renderer']})"
    return f"{spec.dtype} ({shape}){'' if spec.per_step else ' an episode'}{drawn}{_share(dataset, name)}"


def _share(dataset: EpisodeDataset, name: str) -> str:
    """Say what an array takes of the disk."""
    disk = dataset.disk_bytes(name)
    if disk == 0:
        return ""
    ratio = _raw(dataset, name) / disk
    size = f"{disk / 1e6:,.1f} MB" if disk >= 1e5 else f"{disk / 1e3:,.1f} kB"
    return f", {size}" + (f" ({ratio:,.1f} times smaller)" if ratio > 1 else "")


def _raw(dataset: EpisodeDataset, name: str) -> int:
    """Return the bytes that an array decodes to."""
    spec = dataset.info.arrays[name]
    return step_bytes(spec) * (int(dataset.lengths.sum()) if spec.per_step else len(dataset))


def _lengths(dataset: EpisodeDataset) -> str:
    if len(dataset) == 0:
        return "none"
    low, high = int(dataset.lengths.min()), int(dataset.lengths.max())
    return f"{low} in every episode" if low == high else f"{low} to {high}, mean {dataset.lengths.mean():.1f}"


def _sizes(dataset: EpisodeDataset) -> str:
    disk = dataset.disk_bytes()
    if disk == 0:
        return "nothing yet"
    raw = sum(_raw(dataset, name) for name in dataset.info.arrays)
    return f"{disk / 1e6:,.1f} MB, {raw / disk:.1f} times smaller than the {raw / 1e6:,.1f} MB it decodes to"
