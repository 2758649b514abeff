"""What the benchmarks share: one thread and a pinned allocator, the fastest of several rounds, peak memory, tables.

glibc gives tensors over 32 MiB back to the system when they die and faults the pages of the next one in again: 3 to 5
times slower, and a cliff in every curve over a size. `settle` turns that off, for every row alike.
"""

from __future__ import annotations

import ctypes
import gc
import os
import sys
import time
from collections.abc import Callable, Hashable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import NamedTuple, TypeVar
from unittest.mock import patch

import torch

KEPT = {"MALLOC_MMAP_THRESHOLD_": str(2**40), "MALLOC_TRIM_THRESHOLD_": str(2**40), "OMP_NUM_THREADS": "1"}
Call = Callable[[], object]
K = TypeVar("K", bound=Hashable)
T = TypeVar("T")


def settle() -> None:
    """Make this process one thread with an allocator that keeps its memory; call it first, it starts Python again."""
    if any(os.environ.get(name) != value for name, value in KEPT.items()):
        os.environ.update(KEPT)
        os.execv(sys.executable, sys.orig_argv)
    torch.set_num_threads(1)


def clock(device: str = "cpu") -> float:
    """Return seconds: of this process on a CPU; of the clock on the wall on a GPU, once it has done what was asked."""
    if device == "cpu":
        return time.process_time()
    torch.cuda.synchronize()
    return time.perf_counter()


def seconds(call: Call, device: str = "cpu") -> float:
    """Return what a call takes."""
    start = clock(device)
    call()
    return clock(device) - start


def fastest(calls: Mapping[K, Call], rounds: int, device: str = "cpu") -> dict[K, float]:
    """Return the seconds of the fastest of `rounds` calls of each; they take turns, and one round goes uncounted."""
    best = dict.fromkeys(calls, float("inf"))
    for turn in range(rounds + 1):
        for name, call in calls.items():
            taken = seconds(call, device)
            if turn:
                best[name] = min(best[name], taken)
    return best


class Peak(NamedTuple):
    """Bytes of resident memory, as Linux counts it, or of a GPU's memory, as torch does."""

    added: int  # by a call, to what was there before it
    total: int


def in_fresh_process(function: Callable[..., T], *arguments: object) -> T:
    """Return what a function returns in a new process of one thread, with the allocator as users have it."""
    usual = {name: value for name, value in os.environ.items() if not name.startswith("MALLOC_")}
    with patch.dict(os.environ, usual, clear=True), ProcessPoolExecutor(1, get_context("spawn")) as process:
        process.submit(torch.set_num_threads, 1).result()
        return process.submit(function, *arguments).result()


def peak_memory(call: Call, device: str = "cpu") -> Peak:
    """Return the peak of this process during a call.

    Take a fresh process for every figure: memory that the allocator has kept from before is not seen as added.
    """
    gc.collect()
    if device != "cpu":
        torch.cuda.synchronize()
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        call()
        return Peak(torch.cuda.max_memory_allocated() - before, torch.cuda.max_memory_allocated())
    ctypes.CDLL("libc.so.6").malloc_trim(0)
    Path("/proc/self/clear_refs").write_text("5")  # the peak starts again from what is resident now
    before = _status("VmRSS")
    call()
    return Peak(_status("VmHWM") - before, _status("VmHWM"))


def _status(name: str) -> int:
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(name))
    return 1024 * int(line.split()[1])


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print rows of text, the first column to the left and the others to the right."""
    widths = [max(len(row[column]) for row in [header, *rows]) + 2 for column in range(len(header))]
    for row in [header, *rows]:
        print(f"  {row[0]:<{widths[0]}}" + "".join(f"{cell:>{w}}" for cell, w in zip(row[1:], widths[1:], strict=True)))
    sys.stdout.flush()


def at_most(what: str, value: float, limit: float) -> None:
    """Print a figure beside the most that it may be."""
    print(f"  {what}: {value:.3g} (target <= {limit:g}: {'met' if value <= limit else 'MISSED'})", flush=True)


def at_least(what: str, value: float, limit: float) -> None:
    """Print a figure beside the least that it may be."""
    print(f"  {what}: {value:.3g} (target >= {limit:g}: {'met' if value >= limit else 'MISSED'})", flush=True)
