"""Imagination: milliseconds of an imagined step of a batch of 64, and frames per second of the paper's protocol.

    python bench/imagine.py                                   the paper's 3D sizes, one CPU thread
    python bench/imagine.py --size 2d --models s4wm rssm
    python bench/imagine.py --context 500 --horizon 500       S4WM's Figure 3 as it is
    python bench/imagine.py --device cuda --context 500 --horizon 500

All models of a size, as their presets say, and a stack of three S5 layers as R2I's; ratios are to the RSSM in the same
run. "Decoded" adds the decoder and the two heads to the fastest way to step. Weights are the initial ones and no image
was seen before: what a step costs does not depend on either. What a rollout computes once is in its steps' cost: S4's
eager rollouts in blocks gain with length (`--steps`), up to about 100 steps.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from itertools import pairwise
from typing import NamedTuple

import torch

from longdream.bench.measure import Call, at_least, at_most, clock, fastest, settle, table
from longdream.eval.speed import Shape, random_actions, random_batch
from longdream.worldmodels.backbones.s5 import S5Config
from longdream.worldmodels.base import Latent
from longdream.worldmodels.families import WorldModelConfig, build
from longdream.worldmodels.latent_model import LatentWorldModel
from longdream.worldmodels.parallel import ParallelConfig
from longdream.worldmodels.presets import PRESETS
from longdream.worldmodels.rollout import How, Rollout

BATCH = 64
BASE, S5X3 = "rssm", "s5 x 3, no mlp"
DECODED = 4  # steps

Models = Mapping[str, LatentWorldModel]


class Key(NamedTuple):
    """What is timed."""

    model: str
    how: str


def configs(size: str) -> dict[str, WorldModelConfig]:
    """Return the models of a size by their families' names."""
    named = {name.removesuffix(f"-{size}"): preset.model for name, preset in PRESETS.items() if name.endswith(size)}
    s4wm, s5x3 = named["s4wm"], S5Config(blocks=3, layers=1, mlp=0, norm="post", state=1024)
    assert isinstance(s4wm, ParallelConfig)
    return named | {S5X3: replace(s4wm, backbone=s5x3)}


def made(config: WorldModelConfig, device: str) -> LatentWorldModel:
    """Return a new model."""
    model = build(config).to(device)
    assert isinstance(model, LatentWorldModel)
    return model


def calls(models: Models, fast: Mapping[Key, Rollout], arguments: argparse.Namespace) -> dict[Key, Call]:
    """Return a rollout of every model in every way, and the decoding of a few steps."""
    found: dict[Key, Call] = {}
    for name, model in models.items():
        state, actions = (
            model.initial(BATCH),
            random_actions(model.config, Shape(BATCH, arguments.steps), arguments.device),
        )
        found[Key(name, "eager")] = partial(model.imagine, state, actions)
        for key, rollout in fast.items():
            if key.model == name:
                found[key] = partial(rollout, state, actions)
        found[Key(name, "decoding")] = partial(model.predict, model.imagine(state, actions[:, :DECODED])[0])
    return found


def deviation(model: LatentWorldModel, rollout: Rollout, device: str) -> float:
    """Return by how much a first step differs from `imagine`'s; later ones differ once a draw falls the other way."""
    state, action = model.initial(BATCH), random_actions(model.config, Shape(BATCH, 1), device)
    draws = [[torch.Generator().manual_seed(row) for row in range(BATCH)] for _ in range(2)]
    found, expected = rollout(state, action, draws[0])[0], model.imagine(state, action, draws[1])[0]
    return float((found.deter - expected.deter).abs().max())


def steps_table(times: Mapping[Key, float], models: Models, hows: list[str], steps: int) -> None:
    """Print what a step costs, in milliseconds and as a multiple of the RSSM's."""
    header = ["ms per step of 64", "parameters"]
    for how in hows:
        header += [how, f"/ {BASE}"]
    rows = []
    for name, model in models.items():
        row = [name, f"{sum(p.numel() for p in model.parameters()) / 1e6:.1f} M"]
        for how in hows:
            row += [
                f"{1e3 * times[Key(name, how)] / steps:.1f}",
                f"{times[Key(name, how)] / times[Key(BASE, how)]:.2f}x",
            ]
        best = min(times[Key(name, how)] for how in hows) / steps
        rows.append([*row, f"{1e3 * (best + times[Key(name, 'decoding')] / DECODED):.0f}"])
    table([*header, "fastest, decoded"], rows)


def targets(times: Mapping[Key, float], hows: list[str]) -> None:
    """Print the ratios beside their targets (of the project's design)."""
    for name, how, limit in (("s4wm", "eager", 1.7), ("s4wm", "compiled", 1.3), ("s4wm-s4d", "compiled", 1.3)):
        if how in hows and Key(name, how) in times:
            at_most(f"{name} / {BASE}, {how}", times[Key(name, how)] / times[Key(BASE, how)], limit)
    for how in hows:
        if Key(S5X3, how) in times:
            at_least(f"{BASE} / {S5X3}, {how}", times[Key(BASE, how)] / times[Key(S5X3, how)], 2.0)


def protocol(name: str, model: LatentWorldModel, imagine: Rollout | None, arguments: argparse.Namespace) -> list[str]:
    """Return a row of the paper's protocol: a context is observed, the rest imagined and decoded."""
    context, device = arguments.context, arguments.device
    batch = random_batch(model.config, Shape(BATCH, context), device)
    actions = random_actions(model.config, Shape(BATCH, arguments.horizon), device)
    times = [clock(device)]
    state = model.observe(batch).state
    times.append(clock(device))
    latent, _ = (imagine or model.imagine)(state, actions)
    times.append(clock(device))
    for start in range(0, arguments.horizon, DECODED):
        model.predict(Latent(*(part[:, start : start + DECODED] for part in latent)))
    times.append(clock(device))
    observed, imagined, decoded = (after - before for before, after in pairwise(times))
    rates = (BATCH * arguments.horizon / spent for spent in (observed + imagined + decoded, imagined))
    return [name, *(f"{spent:.2f}" for spent in (observed, imagined, decoded)), *(f"{rate:,.0f}" for rate in rates)]


def options() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--size", choices=("2d", "3d"), default="3d")
    parser.add_argument("--models", nargs="+", help=f"families; {BASE} is always among them; by default all")
    parser.add_argument("--steps", type=int, default=64, help="of a timed rollout")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--context", type=int, default=8, help="of the protocol; the paper's is 500")
    parser.add_argument("--horizon", type=int, default=8, help="of the protocol; the paper's is 500")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--eager", action="store_true", help="compile nothing")
    return parser.parse_args()


@torch.no_grad()
def main() -> None:
    """Print the tables."""
    arguments = options()
    if arguments.device == "cpu":
        settle()
    torch._dynamo.config.recompile_limit = 64  # one step of every model is kept
    hows: list[How] = [] if arguments.eager else ["compiled"]
    if arguments.device == "cuda":
        hows.append("cuda-graph")
    chosen = configs(arguments.size)
    if arguments.models:
        chosen = {name: chosen[name] for name in dict.fromkeys([BASE, *arguments.models])}
    models = {name: made(config, arguments.device) for name, config in chosen.items()}
    fast = {Key(name, how): Rollout(model, how) for name, model in models.items() for how in hows}
    for key, rollout in fast.items():
        off = deviation(models[key.model], rollout, arguments.device)
        print(f"  {key.model}, {key.how}: the first step is off by {off:.1g}", flush=True)
    times = fastest(calls(models, fast, arguments), arguments.rounds, arguments.device)
    steps_table(times, models, ["eager", *hows], arguments.steps)
    targets(times, ["eager", *hows])
    print(f"the protocol of the paper, a batch of 64: {arguments.context} observed, {arguments.horizon} imagined")
    header = ["seconds", "observe", "imagine", "decode", "frames/s, all", "frames/s, latents only"]
    best = {name: min((Key(name, how) for how in ["eager", *hows]), key=times.__getitem__) for name in models}
    rows = [protocol(name, model, fast.get(best[name]), arguments) for name, model in models.items()]
    table(header, rows)


if __name__ == "__main__":
    main()
