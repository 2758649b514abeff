"""The run folder: what must hold before it is used, and the record of where its figures come from."""

from __future__ import annotations

import fcntl
import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any, TextIO

from ..provenance import provenance
from .config import to_dict
from .train_config import RUN_CONFIG, TrainConfig

LOCK = ".lock"


def check_out(config: TrainConfig) -> None:
    """Raise ValueError where --out holds a run that is not to be resumed."""
    if (config.out / RUN_CONFIG).exists() and not config.resume:
        raise ValueError(f"{config.out} holds a run already: add --resume to go on with it, or choose another --out")


def lock(out: Path) -> TextIO:
    """Return an open file that keeps the run folder to this process for as long as it lives.

    Raises:
        ValueError: another trainer is at work there (a stopped one may still be saving).
    """
    handle = (out / LOCK).open("w")
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        handle.close()
        raise ValueError(f"another trainer is at work in {out}; wait until it has ended, or stop it") from None
    return handle


def take(out: Path, parameters: int) -> TextIO:
    """Make the run folder, and return what keeps it to this process; see `check_disk` and `lock` for what is raised."""
    check_disk(out, parameters)
    out.mkdir(parents=True, exist_ok=True)
    return lock(out)


def check_disk(out: Path, parameters: int) -> None:
    """Raise ValueError where the checkpoints would not fit: two with Adam's moments, two of the best weights."""
    need = 4 * parameters * (2 * 3 + 2)
    there = next(path for path in (out, *out.absolute().parents) if path.exists())
    free = shutil.disk_usage(there).free
    if free < need:
        raise ValueError(f"the checkpoints need {need / 1e9:.1f} GB, {there} has {free / 1e9:.1f} GB free")


def record_run(config: TrainConfig) -> None:
    """Write config.json of a training run; see `record`."""
    record(config.out, {"train": to_dict(replace(config, resume=False))}, config.data)


def record(out: Path, settings: dict[str, Any], data: str | None) -> None:
    """Write config.json: the settings, where the run began, and where it was resumed.

    Args:
        out: the run folder.
        settings: of the run, by its kind.
        data: the data set that is read, if one is.
    """
    path = out / RUN_CONFIG
    here = provenance(data)
    found: dict[str, Any] = {**settings, "provenance": here, "resumed": []}
    if path.exists():
        before = json.loads(path.read_text())
        found |= {"provenance": before["provenance"], "resumed": [*before["resumed"], here]}
        if before["provenance"].get("data_hash") != here.get("data_hash"):
            print(f"{data} has changed since the run began: episodes no longer come in the order they had")
    part = path.with_suffix(".part")
    part.write_text(json.dumps(found, indent=2))
    part.rename(path)
