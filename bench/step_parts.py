"""The parts of `train_step.py` that say how fast a step is on this device, and what it gives up in low precision."""

from __future__ import annotations

import argparse
from dataclasses import replace

import torch

from longdream.bench import flops as operations
from longdream.bench import where as places
from longdream.bench.measure import fastest, table
from longdream.bench.precision import distance, outcome
from longdream.bench.step import Precision, Step
from longdream.eval.speed import Shape
from longdream.worldmodels.families import WorldModelConfig
from longdream.worldmodels.presets import PRESETS

TERA = operations.TERA
KINDS = {"conv": ("conv",), "products": ("mm", "attention"), "FFT": ("fft",)}


def config_of(name: str, options: argparse.Namespace) -> WorldModelConfig:
    """Return the model of a preset, its frames at once and its encoder as the options say."""
    model = PRESETS[f"{name}-{options.size}"].model
    return replace(model, chunk=options.frames or model.chunk, recompute_encoder=options.recompute_encoder)


def made(name: str, options: argparse.Namespace, compiled: bool = False, chunk: int = 0) -> Step:
    """Return a step of a preset."""
    config = config_of(name, options)
    return Step(
        replace(config, chunk=chunk or config.chunk),
        Shape(options.batch, options.time),
        options.device,
        precision=options.precision,
        compiled=compiled,
    )


def flops(options: argparse.Namespace) -> None:
    """Print the operations of a step, how fast they are done, and the share of the peak."""
    best, rows = operations.peak(torch.device(options.device), options.peak), []
    for name in options.models:
        step = made(name, options)
        counted = operations.count(step)
        total = sum(counted.values())
        taken = fastest({name: step}, options.rounds, options.device)[name]
        shares = [
            sum(n for kind, n in counted.items() if any(word in kind for word in words)) for words in KINDS.values()
        ]
        row = [name, f"{total / TERA:.3f}", *(f"{share / total:.0%}" for share in shares), f"{1e3 * taken:.0f}"]
        rows.append([*row, f"{total / taken / TERA:.3g}", f"{total / taken / best:.1%}"])
    what = f"{options.batch} x {options.time}, {options.precision}"
    table([what, "TFLOP/step", *KINDS, "ms", "TFLOP/s", f"of {best / TERA:.3g} TFLOP/s"], rows)


def where(options: argparse.Namespace) -> None:
    """Print where the time of a step goes."""
    for name in options.models:
        found = places.parts(made(name, options))
        whole = sum(found.values())
        rows = [[part, f"{1e3 * taken:.1f}", f"{taken / whole:.1%}"] for part, taken in found.items()]
        table([f"{name}, {options.batch} x {options.time}, {options.precision}", "ms", "share"], rows)


def precision(options: argparse.Namespace) -> None:
    """Print how far a step's loss and gradients in lower precision are from float32's."""
    lower: list[Precision] = ["tf32", "bf16"] if options.device == "cuda" else ["bf16"]
    rows, shape = [], Shape(options.batch, options.time)
    for name in options.models:
        config = config_of(name, options)
        true = outcome(config, shape, options.device, "float32")
        for low in lower:
            off = distance(outcome(config, shape, options.device, low), true)
            numbers = [f"{x:.1e}" for x in (off.loss, off.term, off.gradient, 1 - off.cosine, off.worst)]
            rows.append([f"{name} {low}", *numbers, off.worst_name])
    header = ["from float32, relative", "loss", "worst term", "gradient", "1 - cosine", "worst tensor", "which"]
    table(header, rows)


def chunk(options: argparse.Namespace) -> None:
    """Print the time of a step by how many frames the codec works on at once."""
    for name in options.models:
        sizes = [size for size in options.chunks if size <= options.batch * options.time]
        steps = {size: made(name, options, chunk=size) for size in sizes}
        times = fastest(steps, options.rounds, options.device)
        rows = [[str(size), f"{1e3 * taken:.0f}", f"{times[sizes[0]] / taken:.2f}x"] for size, taken in times.items()]
        table([f"{name}, frames at once", "ms", f"{sizes[0]} / it"], rows)


def compiled(options: argparse.Namespace) -> None:
    """Print the time of a step with its regions compiled, against the eager one."""
    for name in options.models:
        steps = {"eager": made(name, options), "compiled": made(name, options, compiled=True)}
        times = fastest(steps, options.rounds, options.device)
        print(
            f"  {name}: eager {1e3 * times['eager']:.0f} ms, compiled {1e3 * times['compiled']:.0f} ms, "
            f"eager / compiled {times['eager'] / times['compiled']:.2f}",
            flush=True,
        )
