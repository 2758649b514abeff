"""Minari: a folder as Farama's library makes and reads it, with its HDF5 storage and lossless frames.

Minari keeps T observations and the T - 1 actions between them, with the reward and the end that each led to. All our
other arrays travel in `infos`, whose rows are the T observations; with them and our `dataset.json` in its metadata, a
folder of ours comes back as the data set it was. The `infos` of others are not read.

Axes: T time, H height, W width, C channels, A action.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from gymnasium import spaces

from ..episode import IMAGE, Episode
from ..info import DatasetInfo
from ..splits import Splits
from .part import Format, ReadBack
from .source import TAKEN, Wishes, arrays_of, check_common, imported_episode, imported_info

INFO = "longdream"  # our key in the metadata
DATA = "data"  # Minari's name of the folder inside
SPLITS = Splits.from_ratio(8, 1, 1)


class MinariFolder:
    """The episodes of a Minari data set: one of ours, or another whose observation is an image, or a Dict with one.

    Args:
        folder: what `minari` has below its root: `<folder>/data/metadata.json`.
        wishes: what a folder of ours says itself.

    Raises:
        ValueError: if it is no such folder, or Minari is not installed.
    """

    def __init__(self, folder: Path, wishes: Wishes) -> None:
        self.folder, minari = folder, _minari()
        try:
            self.storage = minari.storage.read(folder / DATA)
        except (ValueError, KeyError, AssertionError) as error:
            raise ValueError(f"{folder} cannot be read as a Minari data set: {error}") from None
        metadata = self.storage.metadata
        self.ours = DatasetInfo.from_json(json.loads(metadata[INFO])) if INFO in metadata else None
        if self.ours is not None and wishes != Wishes():
            raise ValueError(f"{folder} says itself what its context, splits and shards are")
        if self.ours is not None and self.storage.total_episodes != self.ours.episodes:
            raise ValueError(f"{folder} holds {self.storage.total_episodes} episodes of {self.ours.episodes}")
        if self.storage.total_episodes == 0:
            raise ValueError(f"{folder} holds no episodes")
        self.context = wishes.context
        self.info = self.ours or imported_info(
            str(metadata["dataset_id"]), "minari", self.episode(0), self.storage.total_episodes, wishes, SPLITS
        )

    def name(self, index: int) -> str:
        """Return the folder and the number."""
        return f"{self.folder}: episode {index}"

    def episode(self, index: int) -> Episode:
        """Return an episode.

        Raises:
            ValueError: if it is damaged, or of a kind that cannot be had here.
        """
        try:
            (found,) = self.storage.get_episodes([index])
        except (OSError, KeyError) as error:
            raise ValueError(f"{self.name(index)} cannot be read: {error}") from None
        action = self._actions(index, found["actions"])
        if self.ours is not None:
            arrays = {name: values if self.ours.arrays[name].per_step else values[0]
                      for name, values in found["infos"].items()}  # fmt: skip
            observed = {self.ours.observation.name: found["observations"]}
            return Episode.from_named(arrays | observed | {"action": action})
        seen = self._images(index, found["observations"])
        reward = np.concatenate([[0], found["rewards"]]).astype(np.float32)
        check_common(self.name(index), seen | {"action": action, "reward": reward})
        terminal = np.concatenate([[False], found["terminations"]]).astype(bool)
        context = len(reward) // 2 if self.context is None else self.context
        return imported_episode(context, seen.pop("image"), action, reward, terminal=terminal, extras=seen)

    def _actions(self, index: int, actions: Any) -> np.ndarray:
        """Return actions (T A), the first row zero: Discrete ones as one-hot rows."""
        space = self.storage.action_space
        if isinstance(space, spaces.Discrete):
            rows = np.eye(int(space.n), dtype=np.uint8)[actions - space.start]
        elif isinstance(space, spaces.Box) and len(space.shape) == 1:
            rows = actions.astype(np.float32)
        else:
            raise ValueError(f"{self.name(index)}: actions of {space} cannot be had; Discrete and flat Box can")
        return np.concatenate([np.zeros_like(rows[:1], shape=(1, rows.shape[1])), rows])

    def _images(self, index: int, observations: Any) -> dict[str, np.ndarray]:
        """Return what was seen by name, the frames as `image`."""
        seen = dict(observations) if isinstance(observations, dict) else {"image": observations}
        frames = [name for name, x in seen.items() if getattr(x, "ndim", 0) == 4 and x.dtype == np.uint8]
        if len(frames) != 1:
            raise ValueError(f"{self.name(index)}: of {', '.join(seen)} one must be images (T, H, W, C) in uint8")
        seen["image"] = seen.pop(frames[0])
        taken = sorted((set(TAKEN) & set(seen)) - {"image"})
        if taken:
            raise ValueError(f"{self.folder}: {', '.join(taken)} means something else in a data set; rename it")
        return seen


class _MinariWriter:
    """A folder in the making."""

    def __init__(self, folder: Path, info: DatasetInfo) -> None:
        minari = _minari()
        (folder / DATA).mkdir(parents=True)
        width, discrete = info.arrays["action"].shape[0], info.arrays["action"].dtype == "uint8"
        self.buffer, self.discrete, self.specs = minari.buffer, discrete, info.arrays
        self.observed, observed = info.observation
        low, high = (0, 255) if self.observed == IMAGE else (-np.inf, np.inf)
        self.storage = minari.storage.new(
            folder / DATA,
            spaces.Box(low, high, observed.shape, np.dtype(observed.dtype).type),
            spaces.Discrete(width) if discrete else spaces.Box(-np.inf, np.inf, (width,), np.float32),
            jpeg_encoding=False,  # JPEG costs more than a world model's whole error
        )
        self.storage.update_metadata({
            "dataset_id": f"longdream/{info.environment}-v0",
            "minari_version": minari.version,
            INFO: json.dumps(info.to_json(), sort_keys=True),
        })  # fmt: skip

    def append(self, index: int, arrays: dict[str, np.ndarray]) -> None:
        """Write an episode."""
        action, terminal, steps = arrays["action"][1:], arrays["terminal"][1:], len(arrays["reward"])
        if self.discrete and (action.sum(1) != 1).any():
            raise ValueError(f"the actions of episode {index} are not one-hot: Minari's Discrete cannot say them")
        infos = {
            name: values if self.specs[name].per_step else np.repeat(values[None], steps, 0)
            for name, values in arrays.items()
            if name not in (self.observed, "action")
        }
        episode = self.buffer(
            id=index,
            observations=arrays[self.observed],
            actions=action.argmax(1) if self.discrete else action,
            rewards=arrays["reward"][1:],
            terminations=terminal,
            truncations=(np.arange(1, steps) == steps - 1) & ~terminal,
            infos=infos,
        )
        self.storage.update_episodes([episode])

    def close(self) -> None:
        """Nothing is open between two episodes."""


def _read_back(folder: Path, info: DatasetInfo) -> Iterator[ReadBack]:
    source = MinariFolder(folder, Wishes())
    for index in range(source.info.episodes):
        yield ReadBack(index, arrays_of(source, index))


class _Minari(NamedTuple):
    """What is used of the library."""

    storage: Any
    buffer: Any
    version: str


def _minari() -> _Minari:
    try:
        import minari
        from minari.dataset.minari_storage import MinariStorage
    except ImportError:
        raise ValueError("Minari is not installed: pip install 'longdream[minari]'") from None
    return _Minari(MinariStorage, minari.data_collector.EpisodeBuffer, minari.__version__)


MINARI = Format(_MinariWriter, _read_back)
