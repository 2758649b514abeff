"""The recurrent state-space model of DreamerV3, trained by truncated backpropagation through time (RSSM-TBTT).

    h_t = GRU(h_{t-1}, f_in(z_{t-1}, a_t))      z_t ~ q(z_t | h_t, x_t)      p(z_t | h_t)

The posterior sees h, so time is a loop; what does not depend on it (encoder, decoder, heads, the maps of actions and
embeddings) runs over all steps at once. Where an episode starts, h is the learned initial state, z_{t-1} the prior's
mode there and a_t zero; the objective sums over every step, t >= 0.

Axes: B batch, T time, A action, K latents, V classes, D width of h, U units, E embedding.

Source: DreamerV3 (v1) for the cell; S4WM, Tables 7 and 8 for the sizes and appendix for TBTT.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..datasets.batch import Batch
from .base import Beliefs, Generators, Latent, PolicyInput, State
from .deferred import DeferredLinear
from .latent_model import LatentWorldModel, ModelConfig
from .latents import choose, noise
from .networks import NORM_EPS


@dataclass(frozen=True)
class RSSMConfig(ModelConfig):
    """A recurrent state-space model."""

    width: int = 2048  # D


class RSSMState(NamedTuple):
    """What is carried from step to step."""

    deter: Tensor  # (B D) h
    stoch: Tensor  # (B K V) z


class RSSM(LatentWorldModel):
    """DreamerV3's world model."""

    config: RSSMConfig

    def __init__(self, config: RSSMConfig) -> None:
        super().__init__(config, config.width)
        self.hidden_width = config.width
        units, width, latent = config.units, config.width, config.latent.size
        self.f_in = nn.Linear(latent + config.actions, units, bias=False)
        self.f_in_norm = nn.LayerNorm(units, eps=NORM_EPS)
        self.gates = nn.Linear(width + units, 3 * width, bias=False)
        self.gates_norm = nn.LayerNorm(3 * width, eps=NORM_EPS)
        self.post_in = nn.Linear(width + config.codec.embedding, units, bias=False)
        self.post_norm = nn.LayerNorm(units, eps=NORM_EPS)
        self.posterior = nn.Linear(units, latent)
        self.start = nn.Parameter(torch.zeros(width))

    def initial(self, batch_size: int) -> RSSMState:
        """Return the learned initial state and the prior's mode there."""
        h = self.start.tanh()
        mode = self._log_probabilities(self.prior(h)).argmax(-1)
        z = F.one_hot(mode, self.config.latent.classes).to(h.dtype)
        return RSSMState(h.expand(batch_size, -1), z.expand(batch_size, -1, -1))

    def observe(
        self, batch: Batch, state: State | None = None, generators: Generators = None, every_step: bool = False
    ) -> Beliefs:
        """Filter a sequence step by step; see `WorldModel.observe`."""
        latent, loop = self.config.latent, _Loop(self)
        start = self.initial(len(batch.first))
        h, z = start if state is None else state
        seen = self._encode(batch.obs, self._from_embedding)  # (B T U)
        action = self._from_action(batch.action.to(h.dtype) * ~batch.first[..., None])  # (B T U)
        drawn = noise(seen.new_empty(*seen.shape[:2], latent.variables, latent.classes, dtype=h.dtype), generators)
        hs, zs, posts = [], [], []
        for first, *inputs in zip(*(x.unbind(1) for x in (batch.first, action, seen, drawn)), strict=True):
            moved, code, exponential = inputs
            h = torch.where(first[:, None], start.deter, h)
            z = torch.where(first[:, None, None], start.stoch, z)
            h = loop.recur(h, z, moved)
            post = loop.infer(h, code)
            z = choose(post, exponential)
            hs.append(h)
            zs.append(z)
            posts.append(post)
        found = Latent(torch.stack(hs, 1), torch.stack(zs, 1))
        prior = self._log_probabilities(self.prior(found.deter))
        after = RSSMState(found.deter.detach(), found.stoch.detach()) if every_step else RSSMState(h, z)
        return Beliefs(found, torch.stack(posts, 1), prior, after)

    def hidden(self, state: State) -> Tensor:
        """Return h, which is all that the RSSM carries besides z; see `LatentWorldModel.hidden`."""
        return state.deter

    def policy_width(self, kind: PolicyInput) -> int:
        """Return the width of what a policy reads; see `WorldModel.policy_width`."""
        if kind == "full":
            raise ValueError("the policy input 'full' would say h twice, for an RSSM's state is h: use 'output'")
        return super().policy_width(kind)

    def step_cache(self) -> None:
        """Return nothing: a step needs no preparation."""

    def advance(self, state: State, action: Tensor, cache: None, exponential: Tensor) -> tuple[Latent, State]:
        """Imagine one step; see `LatentWorldModel.advance`."""
        h = _Loop(self).recur(state.deter, state.stoch, self._from_action(action))
        z = choose(self._log_probabilities(self.prior(h[:, None])), exponential)
        return Latent(h[:, None], z), RSSMState(h, z[:, 0])

    def _from_action(self, action: Tensor) -> Tensor:
        """Return the action's part of `f_in`: (... A) -> (... U)."""
        return F.linear(action, self.f_in.weight[:, self.config.latent.size :])

    def _from_embedding(self, embedding: Tensor) -> Tensor:
        """Return the embedding's part of the posterior's first layer: (N E) -> (N U)."""
        return F.linear(embedding, self.post_in.weight[:, self.config.width :])


class _Loop:
    """The two maps inside the loop over time, with deferred weight gradients; made anew for every pass."""

    def __init__(self, model: RSSM) -> None:
        self.model = model
        self.from_latent = DeferredLinear(model.f_in.weight[:, : model.config.latent.size])
        self.gates = DeferredLinear(model.gates.weight)
        self.from_deter = DeferredLinear(model.post_in.weight[:, : model.config.width])
        self.posterior = DeferredLinear(model.posterior.weight)

    def recur(self, h: Tensor, z: Tensor, action: Tensor) -> Tensor:
        """Return h_t of h_{t-1} (B D), z_{t-1} (B K V) and the action's part of f_in (B U)."""
        x = F.silu(self.model.f_in_norm(self.from_latent(z.flatten(1)) + action))
        gates = self.model.gates_norm(self.gates(torch.cat([h, x.to(h.dtype)], -1)))
        reset, candidate, update = gates.to(h.dtype).chunk(3, -1)
        candidate = torch.tanh(reset.sigmoid() * candidate)
        update = torch.sigmoid(update - 1)  # a new cell remembers
        return update * candidate + (1 - update) * h

    def infer(self, h: Tensor, code: Tensor) -> Tensor:
        """Return log q(z_t | h_t, x_t) (B K V) of h_t (B D) and the embedding's part of the first layer (B U)."""
        x = F.silu(self.model.post_norm(self.from_deter(h) + code))
        return self.model._log_probabilities(self.posterior(x) + self.model.posterior.bias)
