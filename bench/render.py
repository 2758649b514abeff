"""Rendering: the ray casters against MuJoCo, in frames per second of one core, on the walks of a real episode.

The renderers take turns and draw the same episodes; the table shows medians of rounds, and the ratio to MuJoCo (to the
torch ray caster where there is no OpenGL). Torch draws 256 frames a call. On a CUDA GPU a row says what it draws,
256 frames a call and whole batches of 8 episodes a call, by the clock on the wall:

    python bench/render.py
"""

from __future__ import annotations

import argparse
import dataclasses
import itertools
import time
from collections.abc import Callable, Sequence
from functools import partial
from statistics import median

import numpy as np
import torch

from longdream.collectors.catalogue import ENVIRONMENTS
from longdream.collectors.rollout import collect_episode, episode_seed
from longdream.datasets.frames.recipes import RECIPES
from longdream.datasets.frames.renderers import MUJOCO, render_on, render_views, resolved
from longdream.datasets.frames.scene import View

CALL, BATCH = 256, 8  # frames of a call, episodes of a batch
Draw = Callable[[Sequence[View]], object]


def views_of(name: str, size: int, episodes: int) -> list[View]:
    """Return what is seen in some episodes of an environment."""
    environment = ENVIRONMENTS[name]
    options = dataclasses.replace(environment.options, size=size, renderer="blank")
    walks = [collect_episode(environment, options, episode_seed(0, e)) for e in range(episodes)]
    return [RECIPES[str(environment.recipe)](walk.extras, {"size": size}) for walk in walks]


def pieces(view: View) -> list[View]:
    """Return a view in calls of CALL frames; what does not fill one is left out."""
    starts = range(0, len(view.poses.x) - CALL + 1, CALL)
    return [View(view.scene, view.poses.steps(slice(start, start + CALL))) for start in starts]


def rate(draw: Draw, calls: Sequence[Sequence[View]], clock: Callable[[], float]) -> float:
    """Return frames per second of drawing."""
    start = clock()
    for views in calls:
        draw(views)
    return sum(len(view.poses.x) for views in calls for view in views) / (clock() - start)


def available(renderer: str, view: View) -> str | None:
    """Draw a few frames; return why a renderer cannot, if it cannot."""
    try:
        render_views([View(view.scene, view.poses.steps(slice(4)))], renderer)
    except ValueError as error:
        return str(error)
    return None


def cpu_rows(view: View, rounds: int) -> dict[str, float]:
    """Return the rates of the renderers on one core, the fastest first."""
    renderers = []
    for name in ("raycast-numba", "raycast-torch", MUJOCO):
        reason = available(name, view)
        if reason is None:
            renderers.append(resolved(name))
        else:
            print(f"without {name}: {reason}")
    found: dict[str, list[float]] = {name: [] for name in renderers}
    calls = [[piece] for piece in pieces(view)]
    for _, name in itertools.product(range(rounds), renderers):
        found[name].append(rate(partial(render_views, renderer=name), calls, time.process_time))
    return {name: median(rates) for name, rates in found.items()}


def gpu_rows(views: Sequence[View], rounds: int) -> dict[str, float]:
    """Return the rates of the torch ray caster on a GPU, by the wall's clock."""

    def draw(part: Sequence[View]) -> None:
        render_on(part, "cuda")
        torch.cuda.synchronize()

    calls: dict[str, list[Sequence[View]]] = {
        f"cuda, {CALL} a call": [[piece] for piece in pieces(views[0])],
        f"cuda, {BATCH} episodes": [views],
    }
    for parts in calls.values():
        draw(parts[0])
    return {name: median(rate(draw, parts, time.perf_counter) for _ in range(rounds)) for name, parts in calls.items()}


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--env", default="four_rooms", choices=[k for k, e in ENVIRONMENTS.items() if e.recipe])
    parser.add_argument("--size", type=int, default=64)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    views = views_of(arguments.env, arguments.size, BATCH)
    rates = cpu_rows(views[0], arguments.rounds)
    slowest = min(rates.values())
    print(f"{arguments.env}, {arguments.size} x {arguments.size}: frames per CPU-second of one core")
    for name, value in rates.items():
        print(f"  {name:<20}{value:>12,.0f}{value / slowest:>8.1f}x")
    if torch.cuda.is_available():
        print(f"frames per second on {torch.cuda.get_device_name()}")
        for name, value in gpu_rows(views, arguments.rounds).items():
            print(f"  {name:<20}{value:>12,.0f}")
    if MUJOCO in rates:
        piece = pieces(views[0])[:1]
        difference = np.abs(render_views(piece).astype(int) - render_views(piece, MUJOCO))
        print(f"ray caster against MuJoCo: median difference {np.median(difference):g} grey levels, of 255")


if __name__ == "__main__":
    main()
