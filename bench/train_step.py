"""The training step: forward, backward, clipping and AdamW, of every preset; its memory; and R2I's against the RSSM's.

    python bench/train_step.py                                     every part, shortened: one CPU thread, 8 x 50
    python bench/train_step.py --parts models --models s4wm rssm --time 1000
    python bench/train_step.py --parts decoder growth
    python bench/train_step.py --parts fits                        s4wm-3d at 8 x 1000, as it is trained
    python bench/train_step.py --device cuda --time 1000
    python bench/train_step.py --device cuda --parts flops where precision chunk compiled --models s4wm --time 1000
                                                                   the last: s4wm-3d as the paper trains it, on a GPU

    models    a step of each preset of a size, on the same batch of the same data; ratios to the RSSM
    deferred  the RSSM with deferred weight gradients (as it is) and with autograd's own
    decoder   the loss with eager gradients in chunks, and with the encoder run twice, against the plain one: time
    growth    and its peak memory, against the length of the sequence
    fits      two steps of 8 x 1000 frames of 64 x 64 with both options that save memory
    r2i       R2I's world models against their RSSM twins, by the length of the sequence, on vectors and on images
    flops     operations of a step, how many a second, and the share of the card's peak in bf16 (--peak where unknown)
    where     where a step's time goes: encoder, backbone, decoder, optimiser, waiting
    precision how far loss and gradients in TF32 and bf16 are from float32's
    chunk     time against the frames that encoder and decoder work on at once
    compiled  time with `train_wm.py --compile` against without

The data are random. Every peak of memory comes from a process of its own and counts what a step adds to a model and
AdamW's moments that are there already; on a CPU with the allocator as users have it.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from typing import NamedTuple, get_args

import torch

from longdream.bench import step_parts
from longdream.bench.measure import Peak, at_least, at_most, fastest, in_fresh_process, peak_memory, settle, table
from longdream.bench.step import Precision, Step, Variant
from longdream.eval.speed import Shape
from longdream.worldmodels.families import WorldModelConfig
from longdream.worldmodels.presets import PRESETS

BASE = "rssm"
GB = 1e9


def peak(config: WorldModelConfig, shape: Shape, device: str, variant: Variant = "as it is", steps: int = 1) -> Peak:
    """Return the peak of memory during training steps, in a process of its own."""
    return in_fresh_process(_peak, config, shape, device, variant, steps)


def _peak(config: WorldModelConfig, shape: Shape, device: str, variant: Variant, steps: int) -> Peak:
    step = Step(config, shape, device, variant)
    step.prepare()

    def train() -> None:
        for _ in range(steps):
            step()

    return peak_memory(train, device)


def models(options: argparse.Namespace) -> None:
    """Print a step of every preset, beside the RSSM's, with which it takes turns."""
    shape, device = Shape(options.batch, options.time), options.device
    base = PRESETS[f"{BASE}-{options.size}"].model
    rows = []
    for name in options.models:
        config = PRESETS[f"{name}-{options.size}"].model
        step = Step(config, shape, device)
        times = fastest({BASE: Step(base, shape, device), name: step}, options.rounds, device)
        parameters = sum(p.numel() for p in step.model.parameters()) / 1e6
        taken = times[name]
        row = [name, f"{parameters:.1f} M", f"{1e3 * taken / shape.frames:.2f}", f"{shape.frames / taken:.0f}"]
        rows.append([*row, f"{times[BASE] / taken:.2f}x", f"{peak(config, shape, device).added / GB:.2f}"])
    table([f"{shape.batch} x {shape.time}", "parameters", "ms/frame", "frames/s", f"{BASE} / it", "peak, GB"], rows)


def deferred(options: argparse.Namespace) -> None:
    """Print what deferring the weights' gradients brings an RSSM, and by how much the gradients differ."""
    vectors = PRESETS[f"{BASE}-popgym"].model
    for name, config, batch in (
        ("vectors", vectors, 4),
        (f"{BASE}-{options.size}", PRESETS[f"{BASE}-{options.size}"].model, options.batch),
    ):
        shape = Shape(batch, options.time)
        ways = {variant: Step(config, shape, options.device, variant) for variant in ("as it is", "plain weights")}
        off = difference(*ways.values())
        times = fastest(ways, options.rounds, options.device)
        ratio = times["plain weights"] / times["as it is"]
        what = f"plain / deferred, {name}, {shape.batch} x {shape.time}"
        if name == "vectors":
            at_least(what, ratio, 1.25)
        else:
            print(f"  {what}: {ratio:.3g} (encoder and decoder take most of it)")
        at_most(f"  gradients differ by (relative, of the worst parameter), {name}", off, 1e-5)


def difference(one: Step, other: Step) -> float:
    """Return the norm of the difference of two gradients over their norm, for the worst parameter."""
    found = []
    for step in (one, other):
        torch.manual_seed(1)
        step.backward()
        found.append([parameter.grad for parameter in step.model.parameters()])
        step.optimizer.zero_grad()
    return max(float((p - q).norm() / q.norm().clamp(min=1e-30)) for p, q in zip(*found, strict=True))


class Way(NamedTuple):
    """A way to take the loss of images."""

    config: WorldModelConfig
    variant: Variant
    slower: float  # than the plain way, at most: targets of the project's design
    smaller: float  # and its peak of memory


def ways(options: argparse.Namespace, shape: Shape) -> dict[str, Way]:
    """Return the ways that are compared; the plain one comes first."""
    config = PRESETS[f"{options.decoder}-{options.size}"].model
    chunks = replace(config, chunk=options.chunk)
    return {
        "plain": Way(replace(config, chunk=shape.frames), "plain decoder", 1.0, 1.0),
        "eager gradients": Way(chunks, "as it is", 1.1, 0.75),
        "encoder twice": Way(replace(chunks, recompute_encoder=True), "as it is", 1.3, 0.45),
    }


def decoder(options: argparse.Namespace) -> None:
    """Print the time of the ways to take the loss of images."""
    shape = Shape(options.batch, options.time)
    compared = ways(options, shape)
    steps = {name: Step(way.config, shape, options.device, way.variant) for name, way in compared.items()}
    times = fastest(steps, options.rounds, options.device)
    print(f"  {options.decoder}, {shape.batch} x {shape.time}, chunk {options.chunk}")
    for name, way in list(compared.items())[1:]:
        at_most(f"{name}, time / plain", times[name] / times["plain"], way.slower)


def growth(options: argparse.Namespace) -> None:
    """Print the peak of memory against the length of the sequence."""
    rows = []
    for time in (250, 500, 1000):
        shape = Shape(options.growth_batch, time)
        compared = ways(options, shape)
        peaks = {name: peak(way.config, shape, options.device, way.variant) for name, way in compared.items()}
        rows.append([f"{shape.batch} x {time}", *(f"{found.added / GB:.2f}" for found in peaks.values())])
    table([f"peak of {options.decoder}, GB, chunk {options.chunk}", *compared], rows)
    for name, way in list(compared.items())[1:]:
        at_most(f"{name}, peak / plain", peaks[name].added / peaks["plain"].added, way.smaller)


def fits(options: argparse.Namespace) -> None:
    """Print what two steps of the paper's largest batch need."""
    config = replace(PRESETS["s4wm-3d"].model, recompute_encoder=True)
    found = peak(config, Shape(8, 1000), options.device, steps=2)
    at_most("s4wm-3d, 8 x 1000, all memory of the process, GB", found.total / GB, 8.0)


def r2i(options: argparse.Namespace) -> None:
    """Print R2I's world models against the RSSMs that differ in nothing else, by the length of the sequence."""
    for task, longest in (("popgym", 1024), ("memory-maze", options.r2i_time)):
        names, rows = (f"r2i-{task}", f"{BASE}-{task}"), []
        for time in (t for t in (64, 128, 256, 512, 1024) if t <= longest):
            shape = Shape(options.r2i_batch, time)
            steps = {name: Step(PRESETS[name].model, shape, options.device) for name in names}
            times = fastest(steps, options.rounds, options.device)
            ratio = times[names[1]] / times[names[0]]
            rows.append([f"{shape.batch} x {time}", *(f"{1e3 * times[name]:.0f}" for name in names), f"{ratio:.2f}x"])
        table([f"{task}, ms a step", *names, "ratio"], rows)
        if task == "popgym":
            at_least(f"{names[1]} / {names[0]}, {shape.batch} x {time}", ratio, 2.5)


USUAL = (models, deferred, decoder, growth, r2i)
ON_THE_DEVICE = (step_parts.flops, step_parts.where, step_parts.precision, step_parts.chunk, step_parts.compiled)
PARTS = {part.__name__: part for part in (*USUAL, fits, *ON_THE_DEVICE)}


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=[part.__name__ for part in USUAL])
    parser.add_argument("--size", choices=("tiny", "2d", "3d"), default="3d")
    parser.add_argument("--models", nargs="+", default=["s4wm", "s4wm-s4d", "s5wm", "tssm-xl", "gated", "hybrid"])
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--time", type=int, default=50, help="steps; the paper's are 1000 in 3D")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--decoder", default="s4wm-s4d", help="the model of the parts `decoder` and `growth`")
    parser.add_argument("--chunk", type=int, default=64, help="observations at once, in these")
    parser.add_argument("--growth-batch", type=int, default=1)
    parser.add_argument("--r2i-batch", type=int, default=4)
    parser.add_argument("--r2i-time", type=int, default=64, help="longest sequence of images in `r2i`; R2I's are 1024")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--precision", choices=get_args(Precision), help="of `flops` and what stands below it there")
    parser.add_argument("--peak", type=float, default=0.0, help="TFLOP/s of the device in bf16; 0: as a table knows it")
    parser.add_argument("--frames", type=int, default=0, help="frames at once, in these parts; 0: as in the preset")
    parser.add_argument("--chunks", type=int, nargs="+", default=[64, 128, 256, 512, 1024, 2048], help="in `chunk`")
    parser.add_argument("--recompute-encoder", action="store_true", help="in these parts")
    options = parser.parse_args()
    if options.device == "cpu":
        settle()
    options.precision = options.precision or ("bf16" if options.device == "cuda" else "float32")
    for name in options.parts:
        print(name)
        PARTS[name](options)


if __name__ == "__main__":
    main()
