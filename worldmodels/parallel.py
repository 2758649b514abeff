"""The S4WM family: the posterior does not see h, so a whole sequence is trained in one parallel pass.

    z_t ~ q(z_t | x_t)      g_t = f_in(z_{t-1}, a_t)      h_1..h_T = Backbone(g_1..g_T)      p(z_t | h_t)

Where an episode starts, z_{t-1} and a_t are zero. S4WM does not count the loss there: its objective sums over t >= 1.
R2I, made from DreamerV3, does (`counts_first`).

Axes: B batch, T time, A action, K latents, V classes, D width; the axes of an observation are (...).

Source: S4WM, section 3 (equations 1 to 5), Algorithms 1 and 2; appendix B for the full posterior.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves

from ..datasets.batch import Batch
from .backbones.catalogue import BackboneConfig, build_backbone
from .backbones.s4 import S4Config
from .base import Backbone, Beliefs, Generators, Latent, State
from .latent_model import LatentWorldModel, ModelConfig
from .latents import choose, sample
from .networks import Layers, norm_act, perceptron


@dataclass(frozen=True)
class ParallelConfig(ModelConfig):
    """A world model of the S4WM family."""

    backbone: BackboneConfig = field(default_factory=S4Config)
    # a second stack, over (x_t, a_t), makes the posterior q(z_t | x_<=t, a_<=t): S4WM's Full-Posterior variant
    posterior_backbone: BackboneConfig | None = None
    deter: int = 0  # D where h is a projection of the backbone's output (R2I); 0: h is that output
    counts_first: bool = False  # whether the loss counts the steps at which an episode starts

    @property
    def width(self) -> int:
        """D."""
        return self.deter or self.backbone.width


class ParallelState(NamedTuple):
    """What is carried from step to step."""

    backbone: Any
    stoch: Tensor  # (B K V) z_{t-1}
    posterior: Any  # of the posterior's own backbone; () without one


class ParallelWorldModel(LatentWorldModel):
    """S4WM and its relatives: any `Backbone` between the same encoder, heads and decoder."""

    config: ParallelConfig
    posterior_in: nn.Module  # these two exist for the full posterior only
    posterior_backbone: Backbone

    def __init__(self, config: ParallelConfig) -> None:
        inner, latent = config.backbone.width, config.latent.size
        super().__init__(config, config.width)
        self.f_in = norm_act(latent + config.actions, inner)
        self.backbone = build_backbone(config.backbone)
        self.hidden_width = self.backbone.state_size
        self.f_out = Layers(nn.Linear(inner, config.deter), nn.SiLU()) if config.deter else nn.Identity()
        seen = config.codec.embedding
        if config.posterior_backbone is not None:
            self.posterior_in = norm_act(seen + config.actions, config.posterior_backbone.width)
            self.posterior_backbone = build_backbone(config.posterior_backbone)
            seen = config.posterior_backbone.width
        self.posterior = perceptron(seen, config.units, latent)

    def initial(self, batch_size: int) -> ParallelState:
        """Return the state before anything was seen."""
        latent = self.config.latent
        stoch = next(self.prior.parameters()).new_zeros(batch_size, latent.variables, latent.classes)
        full = self.config.posterior_backbone is not None
        posterior = self.posterior_backbone.initial(batch_size) if full else ()
        return ParallelState(self.backbone.initial(batch_size), stoch, posterior)

    def observe(
        self, batch: Batch, state: State | None = None, generators: Generators = None, every_step: bool = False
    ) -> Beliefs:
        """Filter a sequence in one pass over time; see `WorldModel.observe`."""
        post, seen = self._posterior(batch, None if state is None else state.posterior, every_step)
        z = sample(post, generators)  # (B T K V)
        before = torch.zeros_like(z[:, :1]) if state is None else state.stoch[:, None]
        inputs = torch.cat([torch.cat([before, z[:, :-1]], 1).flatten(-2), batch.action.to(z.dtype)], -1)
        g = self.f_in(inputs * ~batch.first[..., None]).to(z.dtype)  # residuals are summed in float32, also on a CPU
        h, carried = _run(self.backbone, g, batch, None if state is None else state.backbone, every_step)
        h = self.f_out(h).to(z.dtype)
        prior = self._log_probabilities(self.prior(h))
        return Beliefs(Latent(h, z), post, prior, ParallelState(carried, z.detach() if every_step else z[:, -1], seen))

    def hidden(self, state: State) -> Tensor:
        """Return x, the backbone's state; see `LatentWorldModel.hidden`."""
        leaves = [leaf for leaf in tree_leaves(state.backbone) if leaf.is_floating_point()]
        return torch.cat([leaf.flatten(2) for leaf in leaves], -1)

    def counted(self, batch: Batch) -> Tensor:
        """Return all steps, or all but those at which an episode starts; see `WorldModel.counted`."""
        return super().counted(batch) if self.config.counts_first else ~batch.first

    def step_cache(self) -> Any:
        """Discretise the backbone once for a rollout."""
        return self.backbone.step_cache()

    def begin_rollout(self, state: State, steps: int) -> State:
        """Begin with the backbone; see `WorldModel.begin_rollout`."""
        return state._replace(backbone=self.backbone.begin_rollout(state.backbone, steps))

    def end_rollout(self, state: State) -> State:
        """End with the backbone; see `WorldModel.end_rollout`."""
        return state._replace(backbone=self.backbone.end_rollout(state.backbone))

    def advance(self, state: State, action: Tensor, cache: Any, exponential: Tensor) -> tuple[Latent, State]:
        """Imagine one step; see `LatentWorldModel.advance`.

        The posterior's own backbone stays where the last observation left it.
        """
        g = self.f_in(torch.cat([state.stoch.flatten(-2), action], -1)).to(state.stoch.dtype)
        h, backbone = self.backbone.step(g, state.backbone, cache)
        h = self.f_out(h).to(state.stoch.dtype)[:, None]
        z = choose(self._log_probabilities(self.prior(h)), exponential)
        return Latent(h, z), ParallelState(backbone, z[:, 0], state.posterior)

    def _posterior(self, batch: Batch, state: State | None, every_step: bool) -> tuple[Tensor, State]:
        """Return log q(z_t | ...) (B T K V) and the state of the posterior's own backbone, or its states."""
        if self.config.posterior_backbone is None:
            return self._log_probabilities(self._encode(batch.obs, self.posterior)), ()
        embedding = self._encode(batch.obs, nn.Identity())
        inputs = torch.cat([embedding, batch.action.to(embedding.dtype) * ~batch.first[..., None]], -1)
        inputs = self.posterior_in(inputs).to(torch.promote_types(inputs.dtype, torch.float32))
        h, state = _run(self.posterior_backbone, inputs, batch, state, every_step)
        return self._log_probabilities(self.posterior(h)), state


def _run(backbone: Backbone, g: Tensor, batch: Batch, state: State | None, every_step: bool) -> tuple[Tensor, State]:
    """Run a backbone over a batch; return h and the state after the last step, or after every step."""
    if every_step:
        return backbone.forward_states(g, batch.first, state)
    return backbone.forward_counted(g, batch.first, state, batch.inside)
