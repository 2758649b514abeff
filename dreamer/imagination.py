"""Imagination from where the world model has been: trajectories under the actor, and nothing of the world itself.

Imagination begins at a step that was observed, step 0. The action chosen there leads to step 1, whose latent says what
reward it brought and whether the episode goes on.

Axes: B batch, T time, N trajectories, H horizon, A action, F features.

Source: DreamerV3, section on actor-critic learning.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_map

from ..worldmodels.base import Latent, PolicyInput, State, WorldModel, flat_steps, one_step


class Starts(NamedTuple):
    """Where trajectories begin; nothing here has gradients."""

    latent: Latent  # (N 1 ...) of the posterior
    state: State  # (N ...) after that step
    cont: Tensor  # (N) 0 where the episode has ended: what follows is not to be learned from


class Dream(NamedTuple):
    """Trajectories under a policy."""

    features: Tensor  # (N H+1 F) what the policy reads at steps 0..H
    action: Tensor  # (N H A) chosen at steps 0..H-1
    reward: Tensor  # (N H) at steps 1..H
    cont: Tensor  # (N H) at steps 1..H: the probability that the episode goes on


def choose_starts(latent: Latent, state: State, cont: Tensor, every: int = 1) -> Starts:
    """Return the steps of a sequence from which to imagine.

    Args:
        latent: (B T ...) of the posterior.
        state: (B T ...) after every step.
        cont: (B T) whether the episode went on after it.
        every: one step in so many of each row, one at least, drawn at random without repeats; 1: all of them.
    """
    everything = Starts(latent, state, cont)
    if every > 1:
        count = max(1, cont.shape[1] // every)
        steps = torch.rand(cont.shape, device=cont.device).topk(count).indices  # (B count)
        row = torch.arange(len(steps), device=steps.device)[:, None]
        everything = tree_map(lambda leaf: leaf[row, steps], everything)
    latent, state, cont = flat_steps(tree_map(Tensor.detach, everything))
    return Starts(one_step(latent), state, cont)


@contextmanager
def frozen(*modules: nn.Module) -> Iterator[None]:
    """Make the modules' parameters constants: nothing is computed or stored for their gradients.

    What is computed inside may be differentiated outside. Not for a backward pass of the modules' own, whose gradients
    would be lost.
    """
    parameters = [p for module in modules for p in module.parameters() if p.requires_grad]
    try:
        for parameter in parameters:
            parameter.requires_grad_(False)
        yield
    finally:
        for parameter in parameters:
            parameter.requires_grad_(True)


def dream(
    model: WorldModel, starts: Starts, policy: Callable[[Tensor], Tensor], horizon: int, reads: PolicyInput
) -> Dream:
    """Imagine `horizon` steps (H) from every start.

    Args:
        model: the world model.
        starts: N of them.
        policy: from features (N F) to actions (N A).
        horizon: H.
        reads: what the features are.
    """
    cache, latent, state = model.step_cache(), starts.latent, starts.state
    whole = reads != "output"  # a state in the form of `begin_rollout` is fast, but cannot be read
    state = state if whole else model.begin_rollout(state, horizon)
    features = [model.policy_features(latent, one_step(state) if whole else state, reads)]
    actions, latents = [], []
    for _ in range(horizon):
        actions.append(policy(features[-1][:, 0]))
        latent, state = model.imagine_step(state, actions[-1], cache)
        latents.append(latent)
        features.append(model.policy_features(latent, one_step(state) if whole else state, reads))
    imagined = Latent(*(torch.cat(parts, 1) for parts in zip(*latents, strict=True)))
    reward, cont = model.consequences(imagined)
    return Dream(torch.cat(features, 1), torch.stack(actions, 1), reward, cont)
