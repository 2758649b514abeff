"""Collecting a data set: begin it or go on with it, see which shards are missing, have them made."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

from ..datasets.folder import Where
from ..datasets.frames.renderers import check
from ..datasets.info import ON_READ, STORED, DatasetInfo, episodes_per_shard
from ..datasets.progress import Progress
from ..datasets.resume import begin, finish, missing_shards, set_damaged_aside
from ..datasets.splits import Splits
from ..datasets.target import open_target
from .workers import Job, make_shards


def describe_dataset(
    name: str,
    options: Any,
    episodes: int,
    seed: int,
    splits: Splits,
    per_shard: int | None = None,
    frames: str = STORED,
) -> DatasetInfo:
    """Return the `dataset.json` of a data set to be.

    Args:
        name: of the environment.
        options: the environment's.
        episodes: how many.
        seed: of the data set; episode e is a pure function of (environment, options, seed, e).
        splits: which of them are for what.
        per_shard: episodes of a shard; None: as many as 200 MB hold, 8 to 128.
        frames: "stored", or "on-read": not stored but drawn when they are read, from the side arrays.

    Raises:
        ValueError: if a value is out of range; the environment checks its own options.
    """
    from .catalogue import ENVIRONMENTS
    from .rollout import array_specs

    if episodes < 1:
        raise ValueError(f"--n {episodes}: a data set has 1 episode or more")
    if seed < 0:
        raise ValueError(f"--seed {seed}: 0 or more")
    if per_shard is not None and per_shard < 1:
        raise ValueError(f"--per-shard {per_shard}: 1 or more")
    environment = ENVIRONMENTS[name]
    _check_frames(name, options, frames)
    spec, arrays = environment.spec(options), array_specs(environment, options)
    info = DatasetInfo(
        environment=name,
        options=json.loads(json.dumps(dataclasses.asdict(options))),
        spec=spec,
        seed=seed,
        episodes=episodes,
        splits=splits,
        arrays=arrays,
        episodes_per_shard=1,
        recipe=environment.recipe if frames == ON_READ else None,
    )
    return dataclasses.replace(info, episodes_per_shard=per_shard or episodes_per_shard(info.stored, spec.length))


def _check_frames(name: str, options: Any, frames: str) -> None:
    """See that the frames of an environment can be had in the way that is asked for.

    Raises:
        ValueError: if not, with what would do.
    """
    from .catalogue import ENVIRONMENTS

    environment = ENVIRONMENTS[name]
    if environment.recipe is not None:
        check(options.renderer)
        if frames == ON_READ and options.renderer in environment.undrawable:
            raise ValueError(
                f"--frames {frames}: the frames of {name} by --renderer {options.renderer} have to be stored"
            )
    elif frames == ON_READ:
        able = ", ".join(key for key, other in ENVIRONMENTS.items() if other.recipe)
        raise ValueError(f"--frames {frames}: the frames of {name} have to be stored; drawn can be those of {able}")


def collect(root: Where, wanted: DatasetInfo, options: Any, workers: int, progress: Progress) -> None:
    """Make the data set `wanted` at `root`, or what it still lacks.

    Shards that are there are checked against their checksums; damaged ones are moved to `damaged/` and made again.
    Any number of collectors may do this at once.

    Raises:
        ValueError: if another data set is there already, or more episodes than wanted.
        OSError: if `root` cannot be written, or the disk is full. What was finished is kept.
    """
    begin(root, wanted)
    open_target(root).remove_stale()
    set_damaged_aside(root, wanted, progress)
    missing = missing_shards(root, wanted)
    episodes = sum(stop - first for first, stop in missing)
    progress.begin(episodes, episodes * wanted.spec.length)
    make_shards(Job(root, wanted, options), missing, workers, progress.advance)
    finish(root, wanted)
