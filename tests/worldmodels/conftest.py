"""A toy data set, small enough to train on within a second: 8x8 pictures whose brightness the actions add up to."""

import numpy as np
import pytest

from longdream.datasets.episode import Episode, EpisodeSpec, core_arrays
from longdream.datasets.info import DatasetInfo
from longdream.datasets.splits import Splits
from longdream.datasets.store import write_info, write_shard

SPEC = EpisodeSpec(8, 4)
EPISODES = 40


def toy_episode(index):
    rng = np.random.default_rng(index)
    chosen = rng.integers(0, 3, SPEC.length)
    action = np.eye(3, dtype=np.uint8)[chosen]
    action[0] = 0
    level = 20 * np.cumsum(action[:, 1], dtype=np.int64)
    image = np.repeat(level, 8 * 8 * 3).reshape(-1, 8, 8, 3).astype(np.uint8)
    at_end = np.arange(SPEC.length) == SPEC.length - 1
    return Episode(
        obs=image,
        action=action,
        reward=(at_end * (level > 80)).astype(np.float32),
        is_first=np.arange(SPEC.length) == 0,
        terminal=at_end,
        phase=(np.arange(SPEC.length) >= SPEC.context).astype(np.uint8),
        pad=np.zeros(SPEC.length, bool),
        context=SPEC.context,
        seed=index,
    )


@pytest.fixture(scope="session")
def toy_data(tmp_path_factory):
    root = tmp_path_factory.mktemp("toy")
    info = DatasetInfo(
        environment="toy",
        options={},
        spec=SPEC,
        seed=0,
        episodes=EPISODES,
        splits=Splits.from_ratio(8, 1, 1),
        arrays=core_arrays((8, 8, 3), 3),
        episodes_per_shard=EPISODES,
    )
    (root / "tmp").mkdir()
    (root / "shards").mkdir()
    write_info(root, info, replace=False)
    for what in info.shard_ranges():
        write_shard(root, info, what, (toy_episode(e) for e in range(what.first, what.stop)))
    return root
