"""An agent in its environments: N of them side by side, stepped together.

Axes: N rows (environments side by side), A action.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F

from .agent import Agent, Mind
from .environments.vector import Envs, Steps
from .episodes import EpisodeTally, Outcome, Success


class Played(NamedTuple):
    """One step of all rows."""

    steps: Steps
    outcomes: list[Outcome | None]  # (N) of the episodes that ended with it


class Player:
    """Plays N environments.

    The agent watches from the first step on, also while chance acts: it knows each episode when its turn comes.
    """

    def __init__(self, envs: Envs, mind: Mind, success: Success | None) -> None:
        self.envs, self.agent = envs, Agent(mind)
        self._tally = EpisodeTally(envs.count, success)
        self._actions = np.zeros((envs.count, envs.actions), np.float32)  # the next ones; a first step resets

    def play(self, greedy: bool = False, by_chance: bool = False) -> Played:
        """Take one step in every row, and choose the actions that follow it.

        Args:
            greedy: the agent takes its likeliest action.
            by_chance: a policy that knows nothing acts in the agent's place.
        """
        steps = self.envs.step(self._actions)
        self._actions = self.agent.act(steps, greedy)
        if by_chance:
            self._actions = random_actions(self.envs.count, self.envs.actions, self.envs.discrete)
        return Played(steps, self._tally.add(steps))

    def state(self) -> dict[str, Any]:
        """Return what `restore` takes."""
        return {
            "envs": self.envs.state(),
            "agent": self.agent.state(),
            "tally": self._tally.state(),
            "actions": torch.from_numpy(self._actions),
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Undo `state`."""
        self.envs.restore(state["envs"])
        self.agent.restore(state["agent"], self.envs.count)
        self._tally.restore(state["tally"])
        self._actions = state["actions"].numpy()


def random_actions(rows: int, actions: int, discrete: bool) -> np.ndarray:
    """Return actions (N A) of a policy that knows nothing: one-hot, or uniform in [-1, 1]. Draws from torch."""
    if discrete:
        return F.one_hot(torch.randint(actions, (rows,)), actions).float().numpy()
    return (2 * torch.rand(rows, actions) - 1).numpy()
