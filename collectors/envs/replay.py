"""Computes whole 2D episodes at once: the fast path, bit-identical to stepping the environment under its policy.

It rests on what the scripts of these families guarantee: a phase can be planned when it begins, and no step forward is
blocked. The tests compare every array with the stepwise rollout's.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from gymnasium.utils import seeding

from ...datasets.episode import Episode, EpisodeSpec
from ...datasets.frames.tiles import Walk, render_walk
from ..policies.open_loop import OpenLoop
from ..rollout import assemble, policy_generator
from .grid import STEPS, Effects, Layout, Pose

TURN = np.array([-1, 1, 0, 0, 0, 0])  # by action: every 2D family begins with left, right, forward
FORWARD = 2


class Family(NamedTuple):
    """What the fast path needs to know of a family of environments."""

    spec: Callable[[Any], EpisodeSpec]
    draw: Callable[[Any, np.random.Generator], Layout]
    effects: Callable[[Any, Walk, np.ndarray], Effects]
    policy: OpenLoop
    actions: int  # A
    noop: int | None


class Script(NamedTuple):
    """All actions of an episode."""

    action: np.ndarray  # (T - 1) int
    pad: np.ndarray  # (T - 1) bool, where the action only fills up


def replay(family: Family, options: Any, seed: int) -> Episode:
    """Return the episode that `rollout` would give."""
    spec = family.spec(options)
    layout = family.draw(options, seeding.np_random(seed)[0])
    script = write_script(family, spec, layout, policy_generator(seed))
    walk = walk_of(layout.start, script.action)
    effects = family.effects(layout, walk, script.action)
    image = render_walk(layout.ids, walk, effects.changes)
    return assemble(
        spec, family.actions, seed, image, *script, effects.reward, effects.terminal, effects.extras
    )  # fmt: skip


def write_script(family: Family, spec: EpisodeSpec, layout: Layout, rng: np.random.Generator) -> Script:
    """Return the policy's actions in a layout, each phase filled up to its length."""
    context = family.policy.plan_context(layout, layout.start, rng)
    query = family.policy.plan_query(layout, end_of(layout.start, context), rng)
    filler = 0 if family.noop is None else family.noop
    action = np.full(spec.length - 1, filler)
    pad = np.ones(spec.length - 1, bool)
    for first, planned in ((0, context), (spec.context - 1, query)):
        action[first : first + len(planned)] = planned
        pad[first : first + len(planned)] = False
    return Script(action, pad)


def walk_of(start: Pose, action: np.ndarray) -> Walk:
    """Return the poses before, between and after T - 1 actions, if nothing blocks the way."""
    heading = np.cumsum(np.concatenate([[start.heading], TURN[action]])) % 4
    moves = STEPS[heading[:-1]] * (action == FORWARD)[:, None]  # (T - 1, 2)
    x, y = np.cumsum(np.concatenate([[start[:2]], moves]), axis=0).T
    return Walk(x, y, heading)


def end_of(start: Pose, action: np.ndarray) -> Pose:
    """Return the pose after some actions, if nothing blocks the way."""
    walk = walk_of(start, action)
    return Pose(int(walk.x[-1]), int(walk.y[-1]), int(walk.heading[-1]))
