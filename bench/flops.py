"""What a training step computes, and what share of a card's peak that makes.

Counted as torch does: two operations for every multiplication and addition of matrix products, convolutions and
attention, forward and backward, whoever calls them, autograd functions among them; and 2.5 n log2 n for a real FFT of
length n. What works element by element (norms, activations, scans, the recurrences' gates, AdamW) is not counted: on a
GPU it costs time by its bytes, and shows in the part `where` alone. What is computed twice to save memory counts twice.
"""

from __future__ import annotations

import math
import time
from collections import defaultdict
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

# dense bf16 with float32 sums, in TFLOP/s, from the makers' data sheets (SXM where there are several forms), by words
# of the card's name; what holds another's words stands before it
PEAKS = {
    "B200": 2250.0,
    "GH200": 989.0,
    "H200": 989.0,
    "H100 PCIe": 756.0,
    "H100 NVL": 835.0,
    "H100": 989.0,
    "A100": 312.0,
    "L40S": 362.0,
    "L40": 181.0,
    "L4": 121.0,
    "A10G": 70.0,
    "A10": 125.0,
    "RTX 4090": 165.0,
    "RTX 3090": 71.0,
}
TERA = 1e12


def real_fft(out: Tensor, n: int) -> int:
    """Return the operations of real FFTs of length n that make `out` (... n or n/2 + 1)."""
    return round(2.5 * n * math.log2(n)) * (out.numel() // out.shape[-1])


FORMULAS: dict[Any, Callable[..., int]] = flop_registry | {
    torch.ops.aten._fft_r2c: lambda x, *_, out_val: real_fft(out_val, x.shape[-1]),
    torch.ops.aten._fft_c2r: lambda *_, out_val: real_fft(out_val, out_val.shape[-1]),
}


class Counter(TorchDispatchMode):
    """Counts with torch's formulas. Its own FlopCounterMode cannot: a loss that takes its gradients early is too much
    for the hooks by which it tells modules apart.
    """

    def __init__(self) -> None:
        super().__init__()
        self.counts: dict[str, int] = defaultdict(int)

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = function(*args, **(kwargs or {}))
        kind = function._overloadpacket
        if kind in FORMULAS:
            self.counts[str(kind).removeprefix("aten.")] += FORMULAS[kind](*args, **(kwargs or {}), out_val=out)
        return out


def count(call: Callable[[], object]) -> dict[str, int]:
    """Return the operations of a call by kind."""
    with Counter() as counter:
        call()
    return dict(counter.counts)


def peak(device: torch.device, stated: float) -> float:
    """Return FLOP/s at best: as stated, of the table, or where it has no such device, of a large product in bf16."""
    if stated:
        return stated * TERA
    if device.type == "cuda":
        return peak_of(torch.cuda.get_device_name(device))
    return max(large_product(dtype) for dtype in (torch.float32, torch.bfloat16))


def peak_of(name: str) -> float:
    """Return FLOP/s of a card by its name, of which whole words count: an L40 is no L4, an RTX A1000 no A100."""
    words = set(name.replace("-", " ").split())
    for card, tera in PEAKS.items():
        if words.issuperset(card.split()):
            return tera * TERA
    raise SystemExit(f"no peak is known for {name}: say it with --peak, dense bf16 in TFLOP/s")


def large_product(dtype: torch.dtype, size: int = 1024) -> float:
    """Return the FLOP/s of a product of square matrices on this CPU, the best of five."""
    a = torch.rand(size, size).to(dtype)
    best = math.inf
    for _ in range(5):
        start = time.process_time()
        a @ a
        best = min(best, time.process_time() - start)
    return 2 * size**3 / best
