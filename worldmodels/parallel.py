"""The S4WM family: the posterior sees the observation only, so a whole sequence is trained in one parallel pass.

    z_t ~ q(z_t | x_t)      g_t = f_in(z_{t-1}, a_t)      h_1..h_T = Backbone(g_1..g_T)      p(z_t | h_t)
    image, reward and continue are decoded from (h_t, z_t)

Where an episode starts, z_{t-1} and a_t are zero and the loss is not counted: the objective sums over t >= 1.

Axes: B batch, T time, C channels, H height, W width, A action, K latents, V classes, D width, E embedding.

Source: S4WM, section 3 (equations 1 to 5) and Algorithms 1 and 2.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.utils._pytree import tree_map

from ..datasets.batch import Batch
from .backbones.catalogue import BackboneConfig, build_backbone
from .backbones.s4 import S4Config
from .base import Beliefs, Generators, Latent, Loss, Prediction, State, WorldModel
from .heads import ContinueHead, RewardHead
from .latents import LatentConfig, kl_divergence, log_probabilities, sample
from .networks import CNNConfig, Decoder, Encoder, norm_act, perceptron

DECODE_CHUNK = 64  # time steps decoded at once by `predict`: bounds memory, costs nothing


@dataclass(frozen=True)
class LossConfig:
    """Weights of the terms of the objective."""

    prior: float = 0.8  # KL balance: pulls the prior towards the posterior (S4WM appendix)
    posterior: float = 0.2  # and the posterior towards the prior
    reward: float = 1.0
    cont: float = 1.0


@dataclass(frozen=True)
class ParallelConfig:
    """A world model of the S4WM family."""

    actions: int = 6  # A
    cnn: CNNConfig = field(default_factory=CNNConfig)
    latent: LatentConfig = field(default_factory=LatentConfig)
    backbone: BackboneConfig = field(default_factory=S4Config)
    units: int = 512  # hidden width of the prior, posterior, reward and continue heads
    head_layers: int = 2  # hidden layers of the reward and continue heads
    loss: LossConfig = field(default_factory=LossConfig)


class ParallelState(NamedTuple):
    """What is carried from step to step."""

    backbone: Any
    stoch: Tensor  # (B K V) z_{t-1}


class ParallelWorldModel(WorldModel):
    """S4WM and its relatives: any `Backbone` between the same encoder, heads and decoder."""

    def __init__(self, config: ParallelConfig) -> None:
        super().__init__()
        self.config = config
        latent, width = config.latent.size, config.backbone.width
        self.encoder = Encoder(config.cnn)
        self.posterior = perceptron(config.cnn.embedding, config.units, latent)
        self.f_in = norm_act(latent + config.actions, width)
        self.backbone = build_backbone(config.backbone)
        self.prior = perceptron(width, config.units, latent)
        self.decoder = Decoder(config.cnn, width + latent)
        self.reward = RewardHead(width + latent, config.units, config.head_layers)
        self.cont = ContinueHead(width + latent, config.units, config.head_layers)

    def initial(self, batch_size: int) -> ParallelState:
        """Return the state before anything was seen."""
        latent = self.config.latent
        stoch = self.decoder.expand.weight.new_zeros(batch_size, latent.variables, latent.classes)
        return ParallelState(self.backbone.initial(batch_size), stoch)

    def observe(self, batch: Batch, state: State | None = None, generators: Generators = None) -> Beliefs:
        """Filter a sequence in one pass over time; see `WorldModel.observe`."""
        return self._filter(batch, self._centred(batch.obs), state, generators)

    def _filter(self, batch: Batch, pixels: Tensor, state: State | None, generators: Generators) -> Beliefs:
        """Filter a sequence whose images are already `_centred`."""
        post = self._posterior(pixels)
        z = sample(post, generators)  # (B T K V)
        before = torch.zeros_like(z[:, :1]) if state is None else state.stoch[:, None]
        g = self._inputs(torch.cat([before, z[:, :-1]], 1), batch.action, ~batch.first)
        h, carried = self.backbone(g, batch.first, None if state is None else state.backbone)
        h = h.to(z.dtype)
        return Beliefs(Latent(h, z), post, self._prior(h), ParallelState(carried, z[:, -1]))

    def step_cache(self) -> Any:
        """Discretise the backbone once for a rollout."""
        return self.backbone.step_cache()

    def imagine_step(
        self, state: State, action: Tensor, cache: Any, generators: Generators = None
    ) -> tuple[Latent, State]:
        """Advance one step under `action` (B A), with z drawn from the prior; see `WorldModel.imagine_step`."""
        g = self.f_in(torch.cat([state.stoch.flatten(-2), action], -1))
        h, backbone = self.backbone.step(g, state.backbone, cache)
        h = h.to(state.stoch.dtype)[:, None]
        z = sample(self._prior(h), generators)
        return Latent(h, z), ParallelState(backbone, z[:, 0])

    def predict(self, latent: Latent) -> Prediction:
        """Decode image, reward and continue; see `WorldModel.predict`."""
        chunks = [self._decode(chunk) for chunk in latent.features.split(DECODE_CHUNK, 1)]
        return Prediction(*(torch.cat(parts, 1) for parts in zip(*chunks, strict=True)))

    def forward(self, batch: Batch, state: State | None = None) -> Loss:
        """Return the negative ELBO, summed over pixels and latents, averaged over the batch and the counted steps."""
        pixels = self._centred(batch.obs)
        beliefs = self._filter(batch, pixels, state, None)
        terms = self._terms(batch, pixels, beliefs)
        for name, term in terms.items():
            assert term.shape == batch.first.shape, f"{name}: {tuple(term.shape)}"
        counted = (~batch.first).to(beliefs.post.dtype)
        steps = counted.sum().clamp(min=1)
        means = {name: (term * counted).sum() / steps for name, term in terms.items()}
        weights = self.config.loss
        total = (
            means["image"]
            + weights.prior * means["dynamics"]
            + weights.posterior * means["representation"]
            + weights.reward * means["reward"]
            + weights.cont * means["cont"]
        )
        logged = {name: mean.detach() for name, mean in means.items() if name != "representation"}
        logged["episode_sum"] = total.detach() * steps / len(batch.first)
        return Loss(total, logged, tree_map(torch.Tensor.detach, beliefs.state))

    def _terms(self, batch: Batch, pixels: Tensor, beliefs: Beliefs) -> dict[str, Tensor]:
        """Return every term of the objective per step (B T)."""
        features = beliefs.latent.features
        image = self.decoder(features.flatten(0, 1)).unflatten(0, batch.first.shape)
        error = image.to(beliefs.post.dtype) - pixels
        return {
            "image": error.square().sum((2, 3, 4)),
            "dynamics": kl_divergence(beliefs.post.detach(), beliefs.prior),
            "representation": kl_divergence(beliefs.post, beliefs.prior.detach()),
            "reward": self.reward.loss(features, batch.reward),
            "cont": self.cont.loss(features, batch.cont),
        }

    def _centred(self, image: Tensor) -> Tensor:
        """Return pixels in [-0.5, 0.5], one copy for encoder and loss: (B T C H W) uint8 -> (B T C H W) float."""
        return (image.to(self.decoder.expand.weight.dtype) / 255).sub_(0.5)

    def _posterior(self, pixels: Tensor) -> Tensor:
        """Return log q(z_t | x_t): (B T C H W) -> (B T K V)."""
        logits = self.posterior(self.encoder(pixels.flatten(0, 1))).unflatten(0, pixels.shape[:2])
        return log_probabilities(logits, self.config.latent)

    def _prior(self, h: Tensor) -> Tensor:
        """Return log p(z_t | h_t): (B T D) -> (B T K V)."""
        return log_probabilities(self.prior(h), self.config.latent)

    def _inputs(self, before: Tensor, action: Tensor, keep: Tensor) -> Tensor:
        """Return g_t = f_in(z_{t-1}, a_t), both zero where not `keep`: (B T K V), (B T A), (B T) -> (B T D)."""
        inputs = torch.cat([before.flatten(-2), action.to(before.dtype)], -1)
        return self.f_in(inputs * keep[..., None])

    def _decode(self, features: Tensor) -> Prediction:
        image = self.decoder(features.flatten(0, 1)).unflatten(0, features.shape[:2])
        return Prediction(image.to(features.dtype) + 0.5, self.reward(features), self.cont(features))
