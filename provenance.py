"""Where a figure comes from: command, date, commit, data, hardware, versions. Runs and evaluations record it."""

from __future__ import annotations

import hashlib
import os
import platform
import shlex
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch

from .datasets.folder import Where, open_folder
from .datasets.info import INFO, DatasetInfo
from .datasets.manifest import MANIFEST
from .datasets.shard import SHARDS, committed
from .datasets.tar_index import TARS

PACKAGES = ("longdream", "torch", "numpy", "torchmetrics", "accelerate", "zarr")
HERE = Path(__file__).resolve().parent
DOCUMENTS = (":!*.md", ":!docs")  # what a run may write into the checkout that it runs from: results, figures


def provenance(data: Where | None = None) -> dict[str, Any]:
    """Return where this process' figures come from, ready for JSON.

    Args:
        data: the place of the data set that is read, if one is.
    """
    return {
        "command": shlex.join(sys.argv),
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": commit(),
        **({"data": str(data), "data_hash": data_hash(data)} if data else {}),
        "hardware": hardware(),
        "versions": versions(),
    }


def commit() -> str:
    """Return the git commit of this code, marked where code has changed since; "unknown" outside a checkout."""
    head = _git("rev-parse", "HEAD")
    if not head or _git("ls-files", "--error-unmatch", Path(__file__).name) is None:
        return "unknown"  # installed from a wheel, perhaps into the tree of another project's repository
    changed = _git("status", "--porcelain", "--untracked-files=no", "--", ".", *DOCUMENTS)
    return f"{head} with local changes" if changed else head


def _git(*arguments: str) -> str | None:
    try:
        done = subprocess.run(["git", "-C", HERE, *arguments], capture_output=True, text=True, timeout=20, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()


def data_hash(data: Where) -> str:
    """Return one SHA-256 over a data set's dataset.json and its shards' manifests, which hold the arrays' digests.

    Of a data set in tars: over dataset.json and tars.json.

    Raises:
        ValueError: `data` has no dataset.json.
    """
    root = open_folder(data)
    if not root.has(INFO):
        raise ValueError(f"{root} is no data set: it has no {INFO}; make one with `collect`")
    shards = [f"{SHARDS}/{place.range.name}/{MANIFEST}" for place in committed(root, DatasetInfo.read(root))]
    files = [INFO, *([TARS] if root.has(TARS) else []), *shards]
    digest = hashlib.sha256()
    with ThreadPoolExecutor(16) as pool:
        for file, content in zip(files, pool.map(root.read, files), strict=True):
            digest.update(f"{file}\n".encode())
            digest.update(hashlib.sha256(content).digest())
    return f"sha256:{digest.hexdigest()}"


def hardware() -> dict[str, Any]:
    """Return the machine's processor, cores, memory and accelerators."""
    return {
        "system": platform.platform(terse=True),
        "processor": _processor(),
        "cores": os.cpu_count(),
        "memory_gib": _memory(),
        "gpus": [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())],
    }


def _memory() -> float | None:
    """Return the machine's main memory in GiB; None where the system does not tell."""
    try:
        return round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1)
    except (ValueError, AttributeError, OSError):
        return None


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
