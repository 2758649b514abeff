"""Whether the runs that are there are those of a plan: its file, or the data, may have changed since they began."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from ..datasets.files import DatasetError
from ..datasets.info import DatasetInfo
from ..provenance import data_hash
from ..worldmodels.config import from_dict, to_dict
from ..worldmodels.presets import resolve
from ..worldmodels.train_config import CHANGEABLE, RUN_CONFIG, TrainConfig, flat, preset_config, read_run_config
from .described import described, is_there
from .plan import DataConfig, Options, Run, SweepConfig
from .progress import read_json

OTHER_RUNS = "give the runs another folder, or remove that one"


def check_begun(config: SweepConfig, ignored: Collection[str] = ()) -> None:
    """See that the figures of runs which are there may stand for those of the plan.

    Args:
        config: the plan.
        ignored: options of train_wm.py that may differ.

    Raises:
        ValueError: a run was begun with other settings, or its data were others.
    """
    for name, data in config.data.items():
        begun = [run for run in config.runs() if run.data == name and (run.folder / RUN_CONFIG).exists()]
        if begun and (info := _info(data, begun[0])) is not None:
            digest = data_hash(data.path) if not data.collect or is_there(data) else None
            for run in begun:
                _check_settings(config.options(run.model, name) | {"steps": config.steps_of(run)}, run, info, ignored)
                _check_data(run, data.path, digest)


def _info(data: DataConfig, run: Run) -> DatasetInfo | None:
    """Return what a data set is that a run was trained on; None: it is not there.

    Raises:
        ValueError: it is not what the plan would collect.
    """
    try:
        found = DatasetInfo.read(data.path)
    except DatasetError:
        return None
    if data.collect:
        wanted = described(data.collect)
        differences = found.differences(wanted)
        if found.episodes < wanted.episodes:
            differences.append(f"it has {found.episodes:,} episodes, not {wanted.episodes:,}")
        if differences:
            raise ValueError(
                f"{run.folder} was trained on {data.path}, which is not what is asked for ({differences[0]}): give "
                "runs and data other folders, or remove those"
            )
    return found


def _check_settings(options: Options, run: Run, info: DatasetInfo, ignored: Collection[str]) -> None:
    """Raise ValueError, naming both values, where a run was begun with other settings than the plan's."""
    preset = preset_config(resolve(options["model"], info.arrays["image"].shape[0]), info, "", run.folder)
    planned = flat(to_dict(preset)) | options
    begun = flat(to_dict(from_dict(TrainConfig, read_run_config(run.folder / RUN_CONFIG))))
    free = CHANGEABLE | {"seed"} | set(ignored)
    deciding = [name for name in planned if name not in free or name == "model"]
    if "cosine" in (planned["optim.schedule"], begun["optim.schedule"]):
        deciding.append("steps")  # the learning rate falls to zero at the last
    planned["model"] = preset.model
    for name in deciding:
        if not _same(begun.get(name), planned[name]):
            raise ValueError(
                f"{run.folder} was begun with {name} = {begun.get(name)}, the plan has {planned[name]}: {OTHER_RUNS}"
            )


def _same(one: Any, other: Any) -> bool:
    """Return whether two values are alike as words of a command line: 1e-3 is a word to YAML."""
    try:
        return float(one) == float(other)
    except (TypeError, ValueError):
        return str(one) == str(other)


def _check_data(run: Run, path: str, digest: str | None) -> None:
    """Raise ValueError where a run was begun on data that are no longer the same. None: they are not complete."""
    record = read_json(run.folder / RUN_CONFIG, f"remove {run.folder}, and the run begins anew")
    if digest is not None and record["provenance"]["data_hash"] != digest:
        raise ValueError(f"{path} has changed since {run.folder} was begun: {OTHER_RUNS}")
