"""A toy data set: 20x20 frames (big enough to be chunked), chunks of 10 steps, four episodes a shard."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from longdream.datasets.episode import ArraySpec, Episode, EpisodeSpec, core_arrays
from longdream.datasets.info import DatasetInfo
from longdream.datasets.reader import EpisodeDataset
from longdream.datasets.splits import Splits
from longdream.datasets.store import write_info, write_shard

SIZE, ACTIONS, CHUNK, PER_SHARD = 20, 3, 10, 4
SPEC = EpisodeSpec(14, 9)
ARRAYS = core_arrays((SIZE, SIZE, 3), ACTIONS) | {
    "agent_pos": ArraySpec("float32", (2,)),
    "layout": ArraySpec("uint8", (3, 3), per_step=False),
}


def toy_info(episodes: int, **changes) -> DatasetInfo:
    """Return the description of a toy data set."""
    settings: dict[str, Any] = {
        "environment": "toy",
        "options": {"width": 12},
        "spec": SPEC,
        "seed": 0,
        "episodes": episodes,
        "splits": Splits.from_ratio(8, 1, 1),
        "arrays": ARRAYS,
        "episodes_per_shard": PER_SHARD,
        "chunk": CHUNK,
    }
    return DatasetInfo(**(settings | changes))


def toy_length(index: int) -> int:
    """Return a length that varies: 21 to 40, whole chunks among them."""
    return 21 + index * 7 % 20


def toy_episode(index: int, length: int | None = None) -> Episode:
    """Return episode `index`, a function of its index alone."""
    rng = np.random.default_rng(index)
    length = toy_length(index) if length is None else length
    action = np.eye(ACTIONS, dtype=np.uint8)[rng.integers(ACTIONS, size=length)]
    action[0] = 0
    return Episode(
        obs=rng.integers(0, 7, (length, SIZE, SIZE, 3), np.uint8),
        action=action,
        reward=rng.random(length, np.float32),
        is_first=np.arange(length) == 0,
        terminal=np.arange(length) == length - 1,
        phase=(np.arange(length) >= SPEC.context).astype(np.uint8),
        pad=np.arange(length) >= length - 2,
        context=SPEC.context,
        seed=2**63 + index,  # needs all 64 bits
        teleport_from=index - 1,
        extras={
            "agent_pos": rng.random((length, 2), np.float32),
            "layout": rng.integers(0, 2, (3, 3), np.uint8),
        },
    )


def write_toy(root: Path, episodes: int, length: int | None = None, **changes) -> DatasetInfo:
    """Write a whole toy data set."""
    info = toy_info(episodes, **changes)
    (root / "tmp").mkdir(parents=True)
    write_info(root, info, replace=False)
    for what in info.shard_ranges():
        write_shard(root, info, what, (toy_episode(e, length) for e in range(what.first, what.stop)))
    return info


def contents(folder: Path) -> dict[str, bytes]:
    """Return every file below a folder: {path: bytes}."""
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def read_sums(dataset: EpisodeDataset) -> list[int]:
    """Return the sum of each episode's pixels; a process of its own calls it."""
    return [int(dataset.read("image", int(e)).sum()) for e in dataset.indices]
