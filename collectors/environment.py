"""What an environment is to this toolkit: a gymnasium environment, a scripted policy, and a few facts.

To add one, say `maze`:

1. `envs/maze.py`: a `gymnasium.Env` whose observation is a uint8 (H W C) Box and whose actions are Discrete. It draws
   its layout in `reset(seed=...)` from `self.np_random`, and puts every side array that is to be stored into `info`, at
   `reset` and at each `step`. Beside it a frozen dataclass `MazeOptions` (its fields become flags of `collect` and
   keyword arguments of the class), `spec(options) -> EpisodeSpec` and `extras(options) -> {name: ArraySpec}`.
2. `policies/maze.py`: a `Policy`, which yields actions.
3. `registration.py`: one line, the class's gymnasium id. (Not for an id that gymnasium knows already.)
4. `catalogue.py`: one line, an `Environment` under its name.

`collect --list` then shows it, and the contract tests in tests/collectors/test_contract.py run on it as they are.
`fast` is only for speed: without it episodes come from stepping the environment.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import gymnasium
import numpy as np

from ..datasets.episode import ArraySpec, Episode, EpisodeSpec


class SplitRatio(NamedTuple):
    """Episodes of every ten (or so) by purpose: 8/1/1 trains on numbers 0 to 7, tests on 8, validates on 9."""

    train: int
    validation: int
    test: int


EIGHT_ONE_ONE = SplitRatio(8, 1, 1)


class Policy(Protocol):
    """A scripted policy. The environment is stepped between two yields, so a closed-loop policy may look at `env`."""

    def context(self, env: gymnasium.Env, rng: np.random.Generator) -> Iterator[int]:
        """Yield the actions after the reset: C - 1 of them, or fewer where the environment has a no-op."""
        ...

    def query(self, env: gymnasium.Env, rng: np.random.Generator) -> Iterator[int]:
        """Yield the actions after the context: Q of them, or fewer where the environment has a no-op."""
        ...


@dataclass(frozen=True)
class Environment:
    """One entry of the catalogue."""

    description: str  # one line, for `collect --list`
    gym_id: str  # what gymnasium.make takes
    options: (
        Any  # defaults: a frozen dataclass; its fields are flags of `collect` and keyword arguments of gymnasium.make
    )
    spec: Callable[[Any], EpisodeSpec]  # of the options; raises ValueError on bad ones
    extras: Callable[[Any], dict[str, ArraySpec]]  # side arrays, by their names in `info`
    policy: Policy
    noop: int | None  # fills up phases that end early; None: they never do
    split: SplitRatio = EIGHT_ONE_ONE
    fast: Callable[[Any, int], Episode] | None = None  # (options, seed): the rollout's very bytes, faster
    recipe: str | None = None  # in datasets/frames/recipes.py: draws its frames from its side arrays, and from the
    # options `size` and `renderer`, which it then has
    undrawable: tuple[str, ...] = ()  # renderers whose frames the recipe does not draw: they have to be stored
