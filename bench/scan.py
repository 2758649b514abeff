"""Sequence layers: the scan, the S4D kernel, one layer of each kind against a GRU, and their growth with time.

    python bench/scan.py                          one CPU thread, a quarter of an hour
    python bench/scan.py --out growth.png         and the curves over T
    python bench/scan.py --device cuda

Ratios of things measured in turns in one run: the fastest of `--rounds`, in processor time on a CPU, by the wall's
clock on a GPU, forward alone and forward with backward. The process starts itself again with an allocator that keeps
its memory (`measure.py`), for every row alike. The C++ loop is compiled here and nowhere else; it needs a C++ compiler.

Axes: B batch, T time, n complex states, D width.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from longdream.bench.measure import Call, at_least, at_most, fastest, settle, table
from longdream.bench.scan_rivals import CppScan, LayerNormGRU, associative, hillis_steele, loop, textbook
from longdream.worldmodels.backbones.block import Resets, SSMLayer
from longdream.worldmodels.backbones.catalogue import BackboneConfig, build_backbone
from longdream.worldmodels.backbones.dplr import DPLRKernel
from longdream.worldmodels.backbones.gated import GatedConfig
from longdream.worldmodels.backbones.hybrid import HybridConfig
from longdream.worldmodels.backbones.s4 import S4Config
from longdream.worldmodels.backbones.s4d import DiagonalKernel
from longdream.worldmodels.backbones.s5 import S5, S5Config
from longdream.worldmodels.backbones.scan import linear_scan
from longdream.worldmodels.backbones.transformer_xl import TransformerXLConfig

B, T, N, D = 8, 1000, 512, 512  # N complex states of the scan
ACCURACY_T = 2000
LENGTHS = (250, 500, 1000, 2000, 4000)
EXPONENTS = (0.85, 1.1)  # of S4WM's and S5WM's stacks

Scan = Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]


class Inputs(NamedTuple):
    """What a scan takes."""

    a: Tensor
    b: Tensor
    start: Tensor
    keep: Tensor

    def planar(self) -> Inputs:
        """Return what the C++ loop takes: float32, real parts before imaginary ones."""
        a, b, start = (torch.stack([x.real, x.imag], -2).float().detach().requires_grad_() for x in self[:3])
        return Inputs(a, b, start, self.keep.float())


def inputs(steps: int, device: str, resets: float) -> Inputs:
    """Draw inputs with |a| up to 1 - 1e-6, resets in a share of the steps."""
    decay = 10 ** -torch.linspace(0.5, 6, N, dtype=torch.float64, device=device)
    a = torch.polar(1 - decay, 6.3 * torch.rand(N, dtype=torch.float64, device=device))
    b = torch.randn(B, steps, N, dtype=torch.complex64, device=device)
    start = torch.randn(B, N, dtype=torch.complex64, device=device)
    keep = torch.rand(B, steps, device=device) >= resets
    return Inputs(a.requires_grad_(), b.requires_grad_(), start.requires_grad_(), keep)


def forward(run: Callable[..., Tensor], *arguments: Any) -> None:
    """Compute without gradients."""
    with torch.no_grad():
        run(*arguments)


def both_ways(run: Callable[..., Tensor], wanted: Sequence[Tensor], *arguments: Any) -> None:
    """Compute, and differentiate by `wanted`."""
    y = run(*arguments)
    torch.autograd.grad(y, wanted, torch.ones_like(y))


class Key(NamedTuple):
    """What is timed."""

    name: str
    backward: bool


def pair(name: str, run: Callable[..., Tensor], wanted: Sequence[Tensor], *arguments: Any) -> dict[Key, Call]:
    """Return the two calls of a row."""
    return {
        Key(name, False): partial(forward, run, *arguments),
        Key(name, True): partial(both_ways, run, wanted, *arguments),
    }


def print_times(times: Mapping[Key, float], rest: Mapping[str, str], header: str = "") -> None:
    """Print milliseconds, a line a name, and what else is known of it."""
    names = dict.fromkeys(key.name for key in times)
    cells = [[f"{1e3 * times[Key(name, backward)]:.1f}" for backward in (False, True)] for name in names]
    rows = [[name, *row, rest.get(name, "")] for name, row in zip(names, cells, strict=True)]
    table(["ms", "forward", "with backward", header], rows)


OURS, LOOP_CPP, ASSOCIATIVE, DOUBLING = "this scan", "C++ loop", "torch associative_scan", "Hillis-Steele"


def errors(scans: Mapping[str, Scan], device: str) -> dict[str, str]:
    """Return the error of the states of every scan, relative to a loop in complex128, without and with resets."""
    found: dict[str, list[str]] = {name: [] for name in scans}
    for resets in (0.0, 0.005):
        drawn = inputs(ACCURACY_T, device, resets)
        with torch.no_grad():
            exact = loop(drawn.a, drawn.b.to(torch.complex128), drawn.start.to(torch.complex128), drawn.keep)
            for name, scan in scans.items():
                found[name].append(f"{float((scan(*drawn) - exact).norm() / exact.norm()):.1e}")
    return {name: " / ".join(values) for name, values in found.items()}


def bench_scans(rounds: int, device: str) -> None:
    """The scan against other scans."""
    scans: dict[str, Scan] = {OURS: linear_scan, ASSOCIATIVE: associative, DOUBLING: hillis_steele}
    drawn, unbroken = inputs(T, device, 0.005), inputs(T, device, 0.0)
    calls = {
        key: call for name, scan in scans.items() for key, call in pair(name, scan, drawn[:3], *drawn).items()
    } | pair("this scan, no reset in the data", linear_scan, unbroken[:3], *unbroken)
    missing = "it is for CPUs" if device != "cpu" else CppScan.build()
    if missing is None:
        planar = drawn.planar()
        calls |= pair(LOOP_CPP, CppScan.apply, planar[:3], *planar)
    else:
        print(f"without the C++ loop: {missing}")
    print(f"\nscan with resets: batch {B}, {T} steps, {N} complex states, every state kept")
    times = fastest(calls, rounds, device)
    print_times(times, errors(scans, device), f"error at T = {ACCURACY_T}, without / with resets")
    ours = times[Key(OURS, True)]
    if missing is None:
        at_most("with backward, of the C++ loop's time", ours / times[Key(LOOP_CPP, True)], 2.5)
    at_least("with backward, faster than associative_scan", times[Key(ASSOCIATIVE, True)] / ours, 4)
    at_least("with backward, faster than Hillis-Steele", times[Key(DOUBLING, True)] / ours, 10)
    at_most("resets cost", ours / times[Key("this scan, no reset in the data", True)], 1.4)


def bench_kernel(rounds: int, device: str) -> None:
    """The two-level S4D kernel against the textbook's."""
    kernel, u = DiagonalKernel(D, 64).to(device), torch.randn(B, T, D, device=device, requires_grad=True)
    resets, wanted = Resets(torch.zeros(B, T, dtype=torch.bool, device=device)), [u, *kernel.parameters()]

    def two_level(u: Tensor) -> Tensor:
        return kernel(u, resets, None)[0]

    calls = pair("two levels", two_level, wanted, u) | pair("textbook", partial(textbook, kernel), wanted, u)
    with torch.no_grad():
        difference = (two_level(u) - textbook(kernel, u)).norm() / two_level(u).norm()
    print(f"\nS4D's convolution: batch {B}, {T} steps, {D} channels, 64 states; they differ by {float(difference):.0e}")
    times = fastest(calls, rounds, device)
    print_times(times, {"two levels": "and the last state"})
    for backward, target in ((False, 4), (True, 3)):
        ratio = times[Key("textbook", backward)] / times[Key("two levels", backward)]
        at_least("with backward" if backward else "forward", ratio, target)


def bench_layers(rounds: int, device: str) -> None:
    """One layer of each kind against a loop over a GRU cell."""
    kernels = {
        "S4D": DiagonalKernel(D, 64),
        "S4": DPLRKernel(D, 64),
        "S5, 256 pairs (S5WM)": S5(D, 512, 8, "bilinear"),
        "S5, 512 pairs (R2I)": S5(D, 1024, 8, "bilinear"),
    }
    x = torch.randn(B, T, D, device=device, requires_grad=True)
    first = torch.zeros(B, T, dtype=torch.bool, device=device)
    gru = LayerNormGRU(D).to(device)
    calls = pair("LayerNorm-GRU loop", gru, [x, *gru.parameters()], x)
    for name, kernel in kernels.items():
        layer = SSMLayer(kernel, D).to(device)
        calls |= pair(name, lambda x, layer=layer: layer(x, Resets(first), None)[0], [x, *layer.parameters()], x)
    print(f"\none layer: batch {B}, {T} steps, width {D}")
    times = fastest(calls, rounds, device)
    loop_time = times[Key("LayerNorm-GRU loop", True)]
    ratios = {name: loop_time / times[Key(name, True)] for name in kernels}
    print_times(times, {name: f"{ratio:.1f}x" for name, ratio in ratios.items()}, "faster than the GRU")
    at_least("S4D, faster than the GRU", ratios["S4D"], 4)
    at_least("S5, faster than the GRU", min(ratio for name, ratio in ratios.items() if name.startswith("S5")), 3)


STACKS: dict[str, BackboneConfig] = {
    "S4WM": S4Config(blocks=1, width=D),
    "S4WM, S4D": S4Config(blocks=1, width=D, kernel="s4d"),
    "S5WM": S5Config(blocks=1, width=D),
    "TSSM-XL, m = 128": TransformerXLConfig(layers=2, width=D),
    "gated": GatedConfig(layers=2, width=D),
    "hybrid": HybridConfig(before=1, after=0, width=D),
}


def stack_call(backbone: nn.Module, steps: int, device: str) -> Call:
    """Return forward and backward of a stack."""
    g = torch.randn(B, steps, D, device=device, requires_grad=True)
    first = torch.zeros(B, steps, dtype=torch.bool, device=device)
    return partial(both_ways, lambda g: backbone(g, first, None)[0], [g, *backbone.parameters()], g)


def bench_growth(rounds: int, device: str, out: Path | None) -> None:
    """Time against T, and the exponent of a power law through it."""
    print(f"\ngrowth: one block of each stack, batch {B}, width {D}, forward with backward, ms")
    seconds, rows = {}, []
    for name, config in STACKS.items():
        backbone = build_backbone(config).to(device)
        times = fastest({steps: stack_call(backbone, steps, device) for steps in LENGTHS}, rounds, device)
        exponent = np.polyfit(np.log(LENGTHS), np.log([times[steps] for steps in LENGTHS]), 1)[0]
        seconds[f"{name}: T^{exponent:.2f}"] = [times[steps] for steps in LENGTHS]
        rows.append([name, *(f"{1e3 * times[steps]:.0f}" for steps in LENGTHS), f"{exponent:.2f}"])
    table(["T", *map(str, LENGTHS), "exponent"], rows)
    for name in ("S4WM", "S5WM"):
        exponent = float(next(row[-1] for row in rows if row[0] == name))
        at_least(f"{name}'s exponent", exponent, EXPONENTS[0])
        at_most(f"{name}'s exponent", exponent, EXPONENTS[1])
    if out is not None:
        plot(seconds, device, out)


def plot(seconds: Mapping[str, Sequence[float]], device: str, out: Path) -> None:
    """Draw the curves over T."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(7, 5), layout="constrained")
    for name, values in seconds.items():
        axes.loglog(LENGTHS, values, marker="o", label=name)
    axes.set(xlabel="steps T", ylabel=f"seconds, forward and backward ({device})", xticks=LENGTHS)
    axes.set_xticklabels(map(str, LENGTHS))
    axes.minorticks_off()
    axes.legend()
    figure.savefig(out, dpi=120)
    print(f"  drawn: {out}")


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cpu", choices=["cpu", "cuda"])
    parser.add_argument("--rounds", type=int, default=3)
    names = ["scans", "kernel", "layers", "growth"]
    parser.add_argument("--only", nargs="+", default=names, choices=names, help="tables to print")
    parser.add_argument("--out", type=Path, help="where to draw time against T (PNG)")
    arguments = parser.parse_args()
    settle()
    torch.manual_seed(0)
    rounds, device = arguments.rounds, arguments.device
    tables = {
        "scans": partial(bench_scans, rounds, device),
        "kernel": partial(bench_kernel, rounds, device),
        "layers": partial(bench_layers, rounds, device),
        "growth": partial(bench_growth, rounds, device, arguments.out),
    }
    for name in arguments.only:
        tables[name]()


if __name__ == "__main__":
    main()
