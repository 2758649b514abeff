"""What data sets a plan will make, and whether they are there: from the options of `collect`, without collecting."""

from __future__ import annotations

from dataclasses import asdict

from ..collectors.catalogue import ENVIRONMENTS
from ..collectors.collect import describe_dataset
from ..datasets.files import DatasetError
from ..datasets.info import DatasetInfo
from ..datasets.shard import committed
from ..datasets.splits import Splits
from .plan import DataConfig, Options

HERE = ("workers",)  # options that do not decide what is made


def described(collect: Options) -> DatasetInfo:
    """Return what `collect` would make.

    Raises:
        ValueError: there is no such environment, or an option does not fit.
    """
    own = {name.replace("-", "_"): value for name, value in collect.items() if name not in HERE}
    name, episodes, seed = own.pop("env", None), int(own.pop("n", 1)), int(own.pop("seed", 0))
    frames, split, per_shard = own.pop("frames", "stored"), own.pop("split", None), own.pop("per_shard", None)
    if name not in ENVIRONMENTS:
        raise ValueError(f"there is no environment {name!r}; there are {', '.join(ENVIRONMENTS)}")
    environment = ENVIRONMENTS[name]
    splits = Splits.from_ratio(*environment.split) if split is None else Splits.from_text(split)
    try:
        options = type(environment.options)(**asdict(environment.options) | own)
    except TypeError as error:
        raise ValueError(f"{name}: {error}") from error
    return describe_dataset(name, options, episodes, seed, splits, per_shard, frames)


def is_there(data: DataConfig) -> bool:
    """Return whether a data set is there as `collect` would make it, every shard of it. Their bytes are not checked.

    Raises:
        ValueError: its options do not fit.
    """
    wanted = described(data.collect)
    try:
        found = DatasetInfo.read(data.path)
        if found.differences(wanted) or found.episodes < wanted.episodes:
            return False
        return [place.range for place in committed(data.path, found)] == found.shard_ranges()
    except DatasetError:
        return False
