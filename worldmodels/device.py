"""Where a training run computes: Accelerate's device, torch's threads, generators and memory."""

from __future__ import annotations

import ctypes
import os
import resource
import sys
from pathlib import Path
from typing import Protocol

import numpy as np
import psutil
import torch
from accelerate import Accelerator

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # glibc's malloc.h


class Placed(Protocol):
    """What a run's configuration says of where it computes."""

    @property
    def out(self) -> Path: ...
    @property
    def precision(self) -> str: ...
    @property
    def device(self) -> str: ...
    @property
    def cpu_threads(self) -> int: ...
    @property
    def tf32(self) -> bool: ...
    @property
    def tracker(self) -> str: ...


def make_accelerator(config: Placed) -> Accelerator:
    """Return the Accelerator of this process, on the device asked for, with torch's threads shared out.

    Raises:
        ValueError: cuda is asked for and there is none, or a tracker that is not installed.
    """
    accelerator = Accelerator(
        cpu=config.device == "cpu" or not torch.cuda.is_available(),
        mixed_precision=config.precision,
        log_with=None if config.tracker == "none" else config.tracker,
        project_dir=str(config.out),
    )
    if config.device == "cuda" and accelerator.device.type != "cuda":
        raise ValueError("--device cuda: torch sees no CUDA device here, or ACCELERATE_USE_CPU is set")
    if config.tracker != "none" and not accelerator.log_with:
        raise ValueError(f"--tracker {config.tracker} is not installed: pip install 'longdream[{config.tracker}]'")
    allow_tf32(config.tf32, accelerator.device)
    if accelerator.device.type == "cpu":
        keep_freed_memory()
        # `accelerate launch` sets OMP_NUM_THREADS=1
        local = int(os.environ.get("LOCAL_WORLD_SIZE", accelerator.num_processes))
        torch.set_num_threads(config.cpu_threads or max(1, usable_cores() // local))
    return accelerator


def allow_tf32(allowed: bool, device: torch.device) -> None:
    """Let linear layers and convolutions on a GPU multiply float32 numbers in TF32, or see that they do not.

    State-space kernels and the gated recurrence never do (`backbones/exact.py`); sums, norms, FFTs, scans, KL, losses
    are no products of matrices, and always float32. By the switches that torch keeps in step with its newer ones: the
    two sets must not be mixed. On a CPU nothing changes.
    """
    if device.type == "cuda":
        torch.set_float32_matmul_precision("high" if allowed else "highest")
        torch.backends.cudnn.allow_tf32 = allowed


def usable_cores() -> int:
    """Return how many physical cores this process may use, by its affinity and its container's quota."""
    limits = [psutil.cpu_count(logical=False) or os.cpu_count() or 1]
    if hasattr(os, "sched_getaffinity"):
        limits.append(len(os.sched_getaffinity(0)))
    quota = Path("/sys/fs/cgroup/cpu.max")  # "MICROSECONDS PERIOD" or "max PERIOD"
    if quota.is_file() and not (text := quota.read_text()).startswith("max"):
        allowed, period = (int(part) for part in text.split())
        limits.append(max(1, allowed // period))
    return min(limits)


def keep_freed_memory() -> None:
    """Have glibc keep what large tensors free: by default it goes back to the system and is page-faulted in again.

    A training step of `s4wm-tiny` on two threads takes 0.85 of the time. Elsewhere than on Linux this does nothing.
    """
    if sys.platform == "linux" and hasattr(libc := ctypes.CDLL(None), "mallopt"):
        for parameter in (M_MMAP_THRESHOLD, M_TRIM_THRESHOLD):
            libc.mallopt(parameter, 2**31 - 1)


def spawned_seed(seed: int, *key: int) -> int:
    """Return the seed of torch's generator for one of several processes, or of several batches: which, `key` says."""
    return int(np.random.SeedSequence(seed, spawn_key=key).generate_state(1, np.uint64)[0] >> np.uint64(1))


def generator_state(device: torch.device) -> dict[str, torch.Tensor]:
    """Return the state of torch's generators that training draws from."""
    state = {"cpu": torch.get_rng_state()}
    if device.type == "cuda":
        state["cuda"] = torch.cuda.get_rng_state(device)
    return state


def restore_generator(state: dict[str, torch.Tensor], device: torch.device) -> None:
    """Undo `generator_state`."""
    torch.set_rng_state(state["cpu"])
    if device.type == "cuda" and "cuda" in state:
        torch.cuda.set_rng_state(state["cuda"], device)


def peak_memory(device: torch.device) -> float:
    """Return the most memory that this process has held, in GB: of the GPU, or resident on a CPU."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 1e9
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024) / 1e9
