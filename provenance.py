"""Where a figure comes from: command, date, commit, data, hardware, versions. Runs and evaluations record it."""

from __future__ import annotations

import hashlib
import os
import platform
import shlex
import subprocess
import sys
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch

PACKAGES = ("longdream", "torch", "numpy", "torchmetrics", "accelerate", "zarr")
HERE = Path(__file__).resolve().parent


def provenance(data: Path) -> dict[str, Any]:
    """Return where this process' figures come from, ready for JSON.

    Args:
        data: the folder of the data set that is read.
    """
    return {
        "command": shlex.join(sys.argv),
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": commit(),
        "data": str(data),
        "data_hash": data_hash(data),
        "hardware": hardware(),
        "versions": versions(),
    }


def commit() -> str:
    """Return the git commit of this code, marked where files were changed since; "unknown" outside a checkout."""
    head = _git("rev-parse", "HEAD")
    if not head or _git("ls-files", "--error-unmatch", Path(__file__).name) is None:
        return "unknown"  # installed from a wheel, perhaps into the tree of another project's repository
    return f"{head} with local changes" if _git("status", "--porcelain", "--untracked-files=no") else head


def _git(*arguments: str) -> str | None:
    try:
        done = subprocess.run(["git", "-C", HERE, *arguments], capture_output=True, text=True, timeout=20, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()


def data_hash(data: Path) -> str:
    """Return one SHA-256 over a data set's dataset.json and its shards' manifests, which hold the arrays' digests.

    Raises:
        ValueError: `data` has no dataset.json.
    """
    head = data / "dataset.json"
    if not head.is_file():
        raise ValueError(f"{data} is no data set: it has no dataset.json; make one with `collect`")
    digest = hashlib.sha256()
    for path in [head, *sorted(data.glob("shards/*/manifest.json"))]:
        digest.update(f"{path.relative_to(data).as_posix()}\n".encode())
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    return f"sha256:{digest.hexdigest()}"


def hardware() -> dict[str, Any]:
    """Return the machine's processor, cores and accelerators."""
    return {
        "system": platform.platform(terse=True),
        "processor": _processor(),
        "cores": os.cpu_count(),
        "gpus": [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())],
    }


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.is_file():
        for line in cpuinfo.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def versions() -> dict[str, str]:
    """Return the versions of Python and of the packages that the figures depend on."""
    return {"python": platform.python_version()} | {name: _version(name) for name in PACKAGES}


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "not installed"
