"""The agent as it acts: it watches N rows of environments step by step and chooses an action for each.

Axes: N rows (environments side by side), A action; the axes of an observation are (...).
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.utils._pytree import tree_flatten, tree_leaves, tree_unflatten

from ..datasets.batch import Batch
from ..worldmodels.base import PolicyInput, State, WorldModel, one_step
from .behaviour import Behaviour
from .environments.vector import Steps


class Mind(NamedTuple):
    """What an agent acts with."""

    model: WorldModel
    behaviour: Behaviour
    reads: PolicyInput  # of the world model's features
    device: torch.device
    autocast: Callable[[], AbstractContextManager[Any]]  # of the precision that the run trains in


class Agent:
    """Acts in N rows of environments; what it believes of each row is carried from step to step."""

    def __init__(self, mind: Mind) -> None:
        self.mind = mind
        self._state: State | None = None  # before the first step: none

    @torch.no_grad()
    def act(self, steps: Steps, greedy: bool = False) -> np.ndarray:
        """Take the newest step of every row; return the next actions (N A).

        Args:
            steps: what the environments gave; a row whose episode starts here is seen with fresh eyes.
            greedy: take the likeliest action (the mean, where actions are continuous) instead of drawing one.
        """
        mind = self.mind
        with mind.autocast():
            beliefs = mind.model.observe(as_batch(steps, mind.device), self._state)
            self._state = beliefs.state
            features = mind.model.policy_features(beliefs.latent, one_step(beliefs.state), mind.reads)
            action = mind.behaviour.act(features[:, 0], greedy=greedy)
        return action.float().cpu().numpy()

    def state(self) -> list[Tensor]:
        """Return what `restore` takes."""
        return [leaf.cpu() for leaf in tree_leaves(self._state)]

    def restore(self, leaves: list[Tensor], rows: int) -> None:
        """Undo `state`, of an agent of `rows` rows."""
        if leaves:
            structure = tree_flatten(self.mind.model.initial(rows))[1]
            self._state = tree_unflatten([leaf.to(self.mind.device) for leaf in leaves], structure)


def as_batch(steps: Steps, device: torch.device) -> Batch:
    """Return one step of every row as a batch of sequences of one (N 1 ...)."""
    obs = torch.from_numpy(steps.obs)
    obs = obs.movedim(-1, 1) if obs.dim() == 4 else obs  # (N H W C) -> (N C H W)
    action, reward = torch.from_numpy(steps.action).float(), torch.from_numpy(steps.reward).float()
    cont, first = 1 - torch.from_numpy(steps.terminal).float(), torch.from_numpy(steps.first)
    return Batch(obs[:, None], action[:, None], reward[:, None], cont[:, None], first[:, None]).to(device)
