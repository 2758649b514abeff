"""Behaviour: an actor and a critic that learn from imagined trajectories alone.

Discrete actions: REINFORCE; the trajectories are imagined without gradients, and actor and critic look at them in one
pass. Continuous actions: gradients of the returns, through rewards, values and the world model's dynamics. Neither
changes the world model.

Axes: N trajectories, H horizon, A action, F features.

Source: DreamerV3, first version (which Recall2Imagine builds on), section on actor-critic learning and its published
code; here an episode's end is weighed by its probability, where that code rounds it to yes or no.
"""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn

from ..worldmodels.base import PolicyInput, WorldModel
from ..worldmodels.heads import TwoHotHead
from .actor import Actor, Categorical
from .imagination import Dream, Starts, dream, frozen
from .normalise import ReturnScale
from .returns import lambda_returns, step_weights


@dataclass(frozen=True)
class BehaviourConfig:
    """Sizes of actor and critic, and how they learn."""

    units: int = 512  # hidden width of actor and critic
    layers: int = 2  # hidden layers of each
    horizon: int = 15  # imagined steps
    imagine_every: int = 1  # imagine from one step in so many of a row, drawn at random; 1: every step, as the paper
    discount: float = 1 - 1 / 333  # gamma
    trace: float = 0.95  # lambda
    entropy: float = 3e-4  # what a nat of the policy's entropy is worth (R2I in Memory Maze: 1e-3)
    scale_decay: float = 0.99  # of the moving average of the range of returns
    slow_rate: float = 0.02  # by which the slow critic moves towards the critic, an update

    def __post_init__(self) -> None:
        for name in ("units", "layers", "horizon", "imagine_every"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be 1 or more, not {getattr(self, name)}")
        for name in ("discount", "trace", "scale_decay", "slow_rate"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} must be between 0 and 1, not {getattr(self, name)}")
        if self.entropy < 0:
            raise ValueError(f"entropy must be 0 or more, not {self.entropy}")


class BehaviourLoss(NamedTuple):
    """What is minimised: the actor's loss has gradients for the actor only, the critic's for the critic only."""

    actor: Tensor  # ()
    critic: Tensor  # ()
    terms: dict[str, Tensor]  # {name: ()}, detached


class Behaviour(nn.Module):
    """Actor, critic, slow critic and the scale of returns. `forward` IS the loss, as DDP needs it."""

    def __init__(self, config: BehaviourConfig, features: int, actions: int, discrete: bool) -> None:
        """Build a behaviour.

        Args:
            config: sizes and constants.
            features: F, `WorldModel.policy_width`.
            actions: A.
            discrete: actions are one-hot; else they lie in [-1, 1].
        """
        super().__init__()
        self.config = config
        self.actor = Actor(features, config.units, config.layers, actions, discrete)
        self.critic = TwoHotHead(features, config.units, config.layers)
        self.slow_critic = deepcopy(self.critic).requires_grad_(False)
        self.scale = ReturnScale(config.scale_decay)

    @torch.no_grad()
    def act(self, features: Tensor, greedy: bool = False) -> Tensor:
        """Choose actions: (N F) -> (N A) one-hot or in [-1, 1]; the likeliest ones, or drawn ones."""
        policy = self.actor(features)
        return policy.mode() if greedy else policy.draw()

    def forward(self, model: WorldModel, starts: Starts, reads: PolicyInput) -> BehaviourLoss:
        """Imagine from N starts; return the losses.

        Args:
            model: the world model, unwrapped.
            starts: see `choose_starts`.
            reads: what the features are.
        """
        if self.actor.discrete:
            with torch.no_grad():
                seen = self._dream(model, starts, reads)
            torch.clear_autocast_cache()  # of weights that were cast without gradients
            log_probs = self.critic.log_probabilities(seen.features)
            values = self.critic.mean(log_probs.detach())
            log_probs = log_probs[:, :-1]
        else:
            with frozen(model, self.critic):
                seen = self._dream(model, starts, reads)
                values = self.critic(seen.features)
            log_probs = self.critic.log_probabilities(seen.features[:, :-1].detach())
        discount = self.config.discount * seen.cont
        returns = lambda_returns(seen.reward, discount, values, self.config.trace)  # (N H)
        weights = step_weights(starts.cont.to(discount.dtype), discount).detach()
        terms = {"return": returns, "value": values, "imagined_reward": seen.reward, "step_weight": weights}
        actor, learned = self._actor_loss(seen, returns, values[:, :-1], weights)
        critic = self._critic_loss(log_probs, seen.features[:, :-1].detach(), returns.detach(), weights)
        means = {name: term.detach().mean() for name, term in (terms | learned).items()}
        return BehaviourLoss(actor, critic, means | {"actor": actor.detach(), "critic": critic.detach()})

    @torch.no_grad()
    def update_slow_critic(self) -> None:
        """Let the slow critic follow; once after every optimiser step of the critic."""
        for slow, fast in zip(self.slow_critic.parameters(), self.critic.parameters(), strict=True):
            slow.lerp_(fast, self.config.slow_rate)

    def _dream(self, model: WorldModel, starts: Starts, reads: PolicyInput) -> Dream:
        """Imagine; gradients reach the actor through its actions and not through what it reads."""
        return dream(model, starts, lambda features: self.actor(features.detach()).draw(), self.config.horizon, reads)

    def _actor_loss(
        self, seen: Dream, returns: Tensor, values: Tensor, weights: Tensor
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Return the loss and what is worth logging; all of `returns`, `values` and `weights` are (N H).

        Where gradients run through the dynamics they run through the values of the steps, too, and take out what an
        earlier action did to this step: it is counted in the earlier step's own return.
        """
        policy = self.actor(seen.features[:, :-1].detach())
        scale, entropy = self.scale(returns.detach()), policy.entropy()
        advantage = (returns - values) / scale
        gain = policy.log_prob(seen.action) * advantage if isinstance(policy, Categorical) else advantage
        loss = -(weights * (gain + self.config.entropy * entropy)).mean()
        return loss, {"entropy": entropy, "return_scale": scale}

    def _critic_loss(self, log_probs: Tensor, features: Tensor, returns: Tensor, weights: Tensor) -> Tensor:
        """Return the cross-entropy to the returns (N H), and to what the slow critic says: it holds the critic back."""
        with torch.no_grad():
            slow = self.slow_critic(features)
        target = self.critic.cross_entropy(log_probs, returns) + self.critic.cross_entropy(log_probs, slow)
        return (weights * target).mean()
