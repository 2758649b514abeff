"""What a data set is, apart from its episodes: `dataset.json`, written once and compared ever after."""

from __future__ import annotations

import dataclasses
import json
import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import google_crc32c
import numpy as np

from .. import __version__
from .episode import IMAGE, VECTOR, ArraySpec, EpisodeSpec, Observation, observation_name
from .files import FORMAT, DatasetError, unseal
from .folder import Where, open_folder
from .splits import Splits

INFO = "dataset.json"  # the file's name
CHANGING = ("episodes", "capacity", "longdream", "splits")  # what the episodes' bytes do not depend on
NEWEST = 2  # format of the file where there are vectors, or a capacity; all else is written as ever, in FORMAT
STORED, ON_READ = "stored", "on-read"  # where frames come from
CHUNK = 50  # time steps compressed together
SHARD_BYTES = 200e6  # raw bytes of the episodes of one shard
FEWEST, MOST = 8, 128  # episodes of one shard
CHUNKED_BYTES = 1024  # arrays with at least this many bytes a step are read window by window
CHUNKED_VECTOR_BYTES = 256  # vectors with at least this many: a replay of millions of them is not to be in memory


class ShardRange(NamedTuple):
    """Episodes first to stop - 1: what one shard holds, or is to hold."""

    first: int
    stop: int

    @property
    def name(self) -> str:
        """The shard's folder name: equal order as text and as number."""
        return f"{self.first:06d}-{self.stop:06d}"


@dataclass(frozen=True)
class DatasetInfo:
    """The content of `dataset.json`."""

    environment: str
    options: dict[str, Any]  # the environment's, as JSON values
    spec: EpisodeSpec
    seed: int
    episodes: int  # the target; fewer may be there. 0 where there is none: a replay
    splits: Splits
    arrays: dict[str, ArraySpec]
    episodes_per_shard: int
    chunk: int = CHUNK
    recipe: str | None = None  # draws the frames on reading (frames/recipes.py); None: they are stored
    capacity: int | None = None  # steps, of the replay of an online run: episodes are added at the end for ever, and
    # the oldest shards leave. None: a data set of a fixed number of episodes
    longdream: str = __version__  # the version that began the data set

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values."""
        plain = dataclasses.asdict(self)
        plain["spec"] = self.spec._asdict()
        plain["splits"] = self.splits.to_json()
        plain["arrays"] = {name: spec._asdict() for name, spec in self.arrays.items()}
        if self.recipe is None:
            del plain["recipe"]  # so that data sets from before there were recipes keep their fingerprint
        if self.capacity is None:
            del plain["capacity"]
        known_ever = self.capacity is None and self.observation.name == IMAGE
        return json.loads(json.dumps({"format": FORMAT if known_ever else NEWEST, **plain}))  # tuples become lists

    @classmethod
    def read(cls, where: Where) -> DatasetInfo:
        """Read the `dataset.json` of the data set at a place.

        Raises:
            DatasetError: if there is none, or it is damaged or too new.
        """
        root = open_folder(where)
        there = root.has(INFO)
        if not there and not root.exists():
            raise DatasetError(f"{root} is no folder: there is no data set (`collect --out {root}` makes one)")
        if not there:
            raise DatasetError(f"{root} holds no {INFO}: it is no data set, or collecting never began")
        try:
            payload = unseal(root, INFO, str(root / INFO), NEWEST)
        except DatasetError as error:
            advice = "remove it and run the same `collect` command again, the episodes are kept"
            raise DatasetError(f"{error}; {advice}" if "damaged" in str(error) else str(error)) from None
        return cls.from_json(payload)

    @classmethod
    def from_json(cls, payload: dict[str, Any]) -> DatasetInfo:
        """Read what `to_json` wrote."""
        fields = {key: value for key, value in payload.items() if key != "format"}
        fields["spec"] = EpisodeSpec(**payload["spec"])
        fields["splits"] = Splits.from_json(payload["splits"])
        fields["arrays"] = {
            name: ArraySpec(spec["dtype"], tuple(spec["shape"]), spec["per_step"])
            for name, spec in payload["arrays"].items()
        }
        return cls(**fields)

    @cached_property
    def fingerprint(self) -> int:
        """A crc32c of all that decides the episodes' bytes: every shard carries it, so strays are noticed."""
        decides = {k: v for k, v in self.to_json().items() if k not in CHANGING}
        return google_crc32c.value(json.dumps(decides, sort_keys=True).encode())

    @property
    def frames(self) -> str:
        """Return "on-read" or "stored"."""
        return STORED if self.recipe is None else ON_READ

    @cached_property
    def observation(self) -> Observation:
        """Return what is observed."""
        name = observation_name(self.arrays)
        return Observation(name, self.arrays[name])

    @cached_property
    def stored(self) -> dict[str, ArraySpec]:
        """Return those of the arrays that the shards hold."""
        return {name: spec for name, spec in self.arrays.items() if name != "image" or self.recipe is None}

    def differences(self, other: DatasetInfo) -> list[str]:
        """Say in which settings `other` differs: "width is 12, not 100". The target number does not count."""
        mine, yours = self.to_json(), other.to_json()
        found = [f"{k} is {mine['options'].get(k)}, not {v}" for k, v in yours["options"].items()
                 if mine["options"].get(k) != v]  # fmt: skip
        if self.environment != other.environment:
            found = [f"environment is {self.environment}, not {other.environment}"]
        decided = ("seed", "episodes_per_shard") if self.frames == other.frames else ("seed",)
        found += [f"{key} is {mine[key]}, not {yours[key]}" for key in decided if mine[key] != yours[key]]
        if (self.capacity is None) != (other.capacity is None):
            found.append(f"it is {_kind(self)}, not {_kind(other)}")
        if self.frames != other.frames:
            found.append(f"frames is {self.frames}, not {other.frames}")
        if self.splits != other.splits:
            found.append(f"split is {self.splits}, not {other.splits}")
        if not found and self.fingerprint != other.fingerprint:
            found = [f"{key} is {mine[key]}, not {yours.get(key)}" for key in mine
                     if mine[key] != yours.get(key) and key not in ("episodes", "capacity", "longdream")]  # fmt: skip
        return found

    def shard_ranges(self) -> list[ShardRange]:
        """Return what every shard of the whole data set holds; of a replay nobody can say."""
        size = self.episodes_per_shard
        return [ShardRange(first, min(first + size, self.episodes)) for first in range(0, self.episodes, size)]

    def is_chunked(self, name: str) -> bool:
        """True for the big arrays: chunks of `chunk` steps, which a window reads alone. The others are one chunk."""
        spec = self.arrays[name]
        small = CHUNKED_VECTOR_BYTES if name == VECTOR == self.observation.name else CHUNKED_BYTES
        return spec.per_step and step_bytes(spec) >= small

    def padded(self, lengths: np.ndarray) -> np.ndarray:
        """Round episode lengths up to whole chunks: every episode starts on one."""
        return -(-lengths // self.chunk) * self.chunk


def _kind(info: DatasetInfo) -> str:
    return "a data set" if info.capacity is None else "the replay of an online run"


def step_bytes(spec: ArraySpec) -> int:
    """Return the bytes of one step of an array, or of one episode's value."""
    return np.dtype(spec.dtype).itemsize * math.prod(spec.shape)


def episodes_per_shard(arrays: dict[str, ArraySpec], length: int) -> int:
    """Return how many episodes of `length` steps make a shard: 200 MB of them, but 8 to 128."""
    episode = sum(step_bytes(spec) * (length if spec.per_step else 1) for spec in arrays.values())
    return int(np.clip(SHARD_BYTES // episode, FEWEST, MOST))
