"""What every conversion shares: a source yields episodes, and each is held against what the source says of itself.

Axes: T time, H height, W width, C channels, A action.
"""

from __future__ import annotations

from typing import Any, NamedTuple, Protocol

import numpy as np

from ..episode import COMMON, CONTEXT, IMAGE, QUERY, VECTOR, ArraySpec, Episode, EpisodeSpec, observation_name
from ..info import DatasetInfo, episodes_per_shard
from ..splits import Splits
from ..store import RESERVED

UNKNOWN_SEED = 0  # of imported episodes: nothing makes them again
TAKEN = (IMAGE, "action", *COMMON)  # names that mean something in every data set
NUMBERS = "biuf"  # kinds of dtype that can be stored


class Source(Protocol):
    """Where episodes come from. Any of them can be asked for, so a conversion goes on where it was stopped."""

    info: DatasetInfo  # what a data set of these episodes is

    def name(self, index: int) -> str:
        """Return what messages call an episode: its file, mostly."""

    def episode(self, index: int) -> Episode:
        """Return an episode; ValueError if it is damaged or cannot be understood."""


class Wishes(NamedTuple):
    """What a user may say of episodes that come without a `dataset.json`."""

    context: int | None = None  # C; None: half of the first episode
    splits: Splits | None = None  # None: 8/1/1
    per_shard: int | None = None  # episodes of a shard; None: what 200 MB hold


def imported_info(
    environment: str, kind: str, first: Episode, episodes: int, wishes: Wishes, splits: Splits
) -> DatasetInfo:
    """Return what a data set of imported episodes is; the first episode says what arrays there are.

    Args:
        environment: what the episodes are of.
        kind: of the source: "memory-maze", "dreamer", "h5".
        first: the first episode.
        episodes: how many there are.
        wishes: what the user says.
        splits: where the user says nothing.

    Raises:
        ValueError: if a wish is out of range, or an array has a name that the shards need.
    """
    observation = IMAGE if first.obs.ndim == 4 else VECTOR
    arrays = {observation: spec_of(first.obs), "action": spec_of(first.action)} | COMMON
    arrays |= {name: spec_of(value, len(first)) for name, value in first.extras.items()}
    taken = sorted(set(RESERVED) & set(arrays))
    if taken:
        raise ValueError(f"an array is called {', '.join(taken)}: the shards have their own; rename it")
    if first.context < 1:
        raise ValueError(f"--context {first.context}: 1 or more")
    if wishes.per_shard is not None and wishes.per_shard < 1:
        raise ValueError(f"--per-shard {wishes.per_shard}: 1 or more")
    return DatasetInfo(
        environment=environment,
        options={"imported": kind},
        spec=EpisodeSpec(first.context, len(first) - first.context),
        seed=UNKNOWN_SEED,
        episodes=episodes,
        splits=wishes.splits or splits,
        arrays=arrays,
        episodes_per_shard=wishes.per_shard or episodes_per_shard(arrays, len(first)),
    )


def spec_of(values: np.ndarray, steps: int | None = None) -> ArraySpec:
    """Return the specification of an array: per step if its first axis is of T = `steps` (None: it is known to be)."""
    per_step = steps is None or (values.ndim > 0 and len(values) == steps)
    return ArraySpec(values.dtype.name, values.shape[1:] if per_step else values.shape, per_step)


def imported_episode(context: int, obs: np.ndarray, action: np.ndarray, reward: np.ndarray, **others: Any) -> Episode:
    """Return an episode whose first `context` steps are its context (all of them, if there are no more).

    Args:
        context: C.
        obs: (T H W C) uint8, or (T F) float32.
        action: (T A), `action[t]` led to `obs[t]`.
        reward: (T).
        others: further fields of Episode: `terminal`, `extras`, ...
    """
    steps = np.arange(len(reward))
    fields = {
        "is_first": steps == 0,
        "terminal": np.zeros(len(steps), bool),
        "phase": np.where(steps < context, CONTEXT, QUERY).astype(np.uint8),
        "pad": np.zeros(len(steps), bool),
        "context": min(context, len(steps)),
        "seed": UNKNOWN_SEED,
    }
    return Episode(obs=obs, action=action, reward=reward.astype(np.float32), **(fields | others))


def check_common(where: str, arrays: dict[str, np.ndarray]) -> None:
    """See that what every imported episode needs is there: image (T H W C) uint8, action (T ...), reward (T).

    In place of the image there may be a vector (T F) float32.

    Raises:
        ValueError: naming the episode and what is missing or of another shape.
    """
    needed = (observation_name(arrays), "action", "reward")
    missing = [name for name in needed if name not in arrays]
    if missing:
        raise ValueError(f"{where} lacks {', '.join(missing)}; it has {', '.join(arrays) or 'nothing'}")
    strange = [name for name, value in arrays.items() if value.dtype.kind not in NUMBERS]
    if strange:
        raise ValueError(f"{where}: {', '.join(strange)} holds no numbers")
    obs, steps = arrays[needed[0]], len(arrays["reward"]) if arrays["reward"].ndim == 1 else -1
    dtype, axes = ("uint8", "(T, H, W, C)") if needed[0] == IMAGE else ("float32", "(T, F)")
    if obs.dtype != dtype or obs.ndim != axes.count(",") + 1:
        raise ValueError(f"{where}: {needed[0]} is {obs.dtype} {obs.shape}, not {dtype} {axes}")
    lengths = {name: arrays[name].shape for name in needed}
    if steps < 1 or any(shape[:1] != (steps,) for shape in lengths.values()):
        shown = ", ".join(f"{name} {shape}" for name, shape in lengths.items())
        raise ValueError(f"{where}: {needed[0]}, action and reward must be equally long, with 1 reward a step: {shown}")


def arrays_of(source: Source, index: int) -> dict[str, np.ndarray]:
    """Return all arrays of an episode by name; what is of the whole episode has no time axis.

    Raises:
        ValueError: in one line, naming every array that it lacks, that it alone has, or whose type or shape differs
            from what `source.info` says.
    """
    episode = source.episode(index)
    specs = source.info.arrays
    found: dict[str, np.ndarray] = {
        name: value if isinstance(value, np.ndarray) else np.array(value, specs[name].dtype)
        for name, value in episode.named(source.info.observation.name).items()
    }
    wrong = [f"it lacks {name}" for name in specs if name not in found]
    wrong += [f"it has {name} besides" for name in sorted(found) if name not in specs]
    for name in specs.keys() & found.keys():
        spec, value = specs[name], found[name]
        shape = (len(episode), *spec.shape) if spec.per_step else spec.shape
        if (value.dtype, value.shape) != (np.dtype(spec.dtype), shape):
            wrong.append(f"{name} is {value.dtype} {value.shape}, not {spec.dtype} {shape}")
    if wrong:
        raise ValueError(f"{source.name(index)} is unlike the first episode: {'; '.join(sorted(wrong))}")
    return {name: found[name] for name in specs}
