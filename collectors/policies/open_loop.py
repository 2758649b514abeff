"""A policy that plans a whole phase when it begins: from the layout, the agent's pose, and chance."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import gymnasium
import numpy as np

from ..envs.grid import Pose

Plan = Callable[[Any, Pose, np.random.Generator], np.ndarray]  # (layout, pose, rng) -> (actions) int


@dataclass(frozen=True)
class OpenLoop:
    """A `Policy` out of two plans. The fast path calls the plans themselves."""

    plan_context: Plan
    plan_query: Plan

    def context(self, env: gymnasium.Env, rng: np.random.Generator) -> Iterator[int]:
        """Yield the context's actions."""
        yield from self._plan(self.plan_context, env, rng)

    def query(self, env: gymnasium.Env, rng: np.random.Generator) -> Iterator[int]:
        """Yield the query's actions."""
        yield from self._plan(self.plan_query, env, rng)

    def _plan(self, plan: Plan, env: gymnasium.Env, rng: np.random.Generator) -> list[int]:
        world = env.unwrapped
        return plan(world.layout, world.pose, rng).tolist()
