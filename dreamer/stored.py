"""What the replay of an environment holds, as a data set says it."""

from __future__ import annotations

from typing import Any

from gymnasium import spaces

from ..datasets.episode import EpisodeSpec, core_arrays
from ..datasets.info import DatasetInfo
from ..datasets.splits import Splits
from ..worldmodels.config import to_dict
from .environments.catalogue import find_online
from .environments.environment import make_online

SPLITS = Splits.from_ratio(8, 1, 1)


def replay_info(name: str, options: Any, seed: int = 0) -> DatasetInfo:
    """Return the `dataset.json` of what is played in an environment; of its episodes the longest decides.

    Args:
        name: of the environment.
        options: the environment's.
        seed: of the run.

    Raises:
        ValueError: there is no such environment, an option is out of range, or something is not installed.
    """
    entry = find_online(name)
    env = make_online(entry.make, options, entry.max_steps(options))
    space, actions = env.observation_space, env.action_space
    env.close()
    discrete = isinstance(actions, spaces.Discrete)
    width = int(actions.n) if discrete else int(actions.shape[0])
    arrays = core_arrays(space.shape, width, "uint8" if discrete else "float32") | entry.sides(options)
    length = entry.max_steps(options) + 1
    return DatasetInfo(
        environment=name,
        options=to_dict(options),
        spec=EpisodeSpec(length - length // 2, length // 2),
        seed=seed,
        episodes=0,
        splits=SPLITS,
        arrays=arrays,
        episodes_per_shard=1,  # the replay sizes its shards itself
    )
