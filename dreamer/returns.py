"""Lambda-returns of imagined trajectories, and what each of their steps weighs.

Axes: N trajectories, H horizon.

Source: DreamerV3, section on actor-critic learning (equation of the bootstrapped lambda-returns).
"""

from __future__ import annotations

import torch
from torch import Tensor


def lambda_returns(reward: Tensor, discount: Tensor, value: Tensor, trace: float) -> Tensor:
    """Return what is got from every step on, bootstrapped with the critic's values.

        R_t = r_{t+1} + d_{t+1} ((1 - lambda) V_{t+1} + lambda R_{t+1})        R_H = V_H

    Args:
        reward: (N H) r_1..r_H: column t was got by the action chosen at step t.
        discount: (N H) d_1..d_H, gamma times the probability that the episode goes on after that step.
        value: (N H+1) V_0..V_H.
        trace: lambda; 0 looks one step ahead, 1 to the horizon.

    Returns:
        R_0..R_{H-1} (N H).
    """
    assert reward.shape == discount.shape == value[:, 1:].shape
    one_step = reward + (1 - trace) * discount * value[:, 1:]
    kept, result, returns = trace * discount, value[:, -1], []
    for now, factor in zip(reversed(one_step.unbind(1)), reversed(kept.unbind(1)), strict=True):
        result = now + factor * result
        returns.append(result)
    return torch.stack(returns[::-1], 1)


def step_weights(cont: Tensor, discount: Tensor) -> Tensor:
    """Return how much the actions of steps 0..H-1 count: the probability that they are taken at all, discounted.

    Args:
        cont: (N) whether the episode goes on after step 0, where imagination began.
        discount: (N H) d_1..d_H, as in `lambda_returns`.

    Returns:
        cont * d_1 * ... * d_t (N H); a trajectory that begins where an episode has ended weighs nothing.
    """
    return torch.cat([cont[:, None], discount[:, :-1]], 1).cumprod(1)
