"""What the world models of the papers share: an encoder, categorical latents, a prior, and what is decoded from (h, z).

    z_t ~ q(z_t | ...)      p(z_t | h_t)      observation, reward and continue are decoded from (h_t, z_t)

How h comes about, and what q sees, is each family's own: `parallel.py`, `rssm.py`.

Axes: B batch, T time, A action, K latents, V classes, D width of h, E embedding; the axes of an observation are (...).

Source: S4WM, section 3 (equations 1 to 5).
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import Tensor
from torch.utils._pytree import tree_leaves, tree_map
from torch.utils.checkpoint import checkpoint

from ..datasets.batch import Batch
from .base import Beliefs, Consequence, Generators, Latent, Loss, PolicyInput, Prediction, State, StepCache, WorldModel
from .codecs.catalogue import CodecConfig, build_decoder, build_encoder
from .codecs.cnn import CNNConfig
from .heads import NO_REWARD, ContinueHead, TwoHotHead
from .latents import LatentConfig, kl_divergence, log_probabilities, noise
from .networks import perceptron
from .reconstruction import reconstruction_loss

# Observations at once in training: on a CPU what its caches hold; on a GPU enough work for every kernel. 128 frames of
# 64 x 64 are a tenth of a millisecond's arithmetic for an H100, and hundreds of kernels to launch.
CHUNKS = {"cpu": 128, "cuda": 2048}
DECODE_CHUNK = 128  # observations decoded at once by `predict`: bounds memory, costs nothing
POLICY_PARTS: dict[PolicyInput, str] = {"output": "zh", "hidden": "zx", "full": "zhx"}  # in this order
MOST_HIDDEN = 8_192  # values of x that a policy may read: R2I's are 5,120, S4WM's 393,216, TSSM-XL's 1.6 million


@dataclass(frozen=True)
class LossConfig:
    """Weights of the terms of the objective."""

    prior: float = 0.8  # KL balance: pulls the prior towards the posterior (S4WM appendix)
    posterior: float = 0.2  # and the posterior towards the prior
    free_nats: float = 0.0  # a KL below this is not trained on (DreamerV3 and R2I: 1)
    reward: float = 1.0
    cont: float = 1.0


@dataclass(frozen=True)
class ModelConfig:
    """What every family has."""

    actions: int = 6  # A
    codec: CodecConfig = field(default_factory=CNNConfig)
    latent: LatentConfig = field(default_factory=LatentConfig)
    units: int = 512  # hidden width of the prior, posterior, reward and continue heads
    head_layers: int = 2  # hidden layers of the reward and continue heads
    loss: LossConfig = field(default_factory=LossConfig)
    chunk: int = 0  # frames that encoder and decoder work on at once, in training; 0: `CHUNKS`, by device
    recompute_encoder: bool = False  # run the encoder again in the backward pass: less memory, more time

    def __post_init__(self) -> None:
        for name, least in (("actions", 1), ("units", 1), ("head_layers", 1), ("chunk", 0)):
            if getattr(self, name) < least:
                raise ValueError(f"{name} must be {least} or more, not {getattr(self, name)}")


class LatentWorldModel(WorldModel):
    """A world model with a latent z_t and a deterministic h_t; see the module."""

    hidden_width: int  # X of `hidden`

    def __init__(self, config: ModelConfig, width: int) -> None:
        """Build what is shared; `width` is D."""
        super().__init__()
        self.config, self.width = config, width
        features = width + config.latent.size
        self.encoder = build_encoder(config.codec)
        self.prior = perceptron(width, config.units, config.latent.size)
        self.decoder = build_decoder(config.codec, features)
        self.reward = TwoHotHead(features, config.units, config.head_layers, NO_REWARD)
        self.cont = ContinueHead(features, config.units, config.head_layers)

    @abstractmethod
    def observe(
        self, batch: Batch, state: State | None = None, generators: Generators = None, every_step: bool = False
    ) -> Beliefs:
        """Filter a sequence; see `WorldModel.observe`."""

    @abstractmethod
    def hidden(self, state: State) -> Tensor:
        """Return x, the recurrent state as one vector of real values: leaves (B T ...) -> (B T X)."""

    @abstractmethod
    def advance(self, state: State, action: Tensor, cache: StepCache, exponential: Tensor) -> tuple[Latent, State]:
        """Imagine one step with noise (B 1 K V) that was drawn before, by `latents.noise`: no randomness of its own."""

    def imagine_step(
        self, state: State, action: Tensor, cache: StepCache, generators: Generators = None
    ) -> tuple[Latent, State]:
        """Advance one step under `action` (B A), with z drawn from the prior; see `WorldModel.imagine_step`."""
        return self.advance(state, action, cache, noise(state.stoch[:, None], generators))

    def predict(self, latent: Latent) -> Prediction:
        """Decode observation, reward and continue; see `WorldModel.predict`."""
        steps = max(1, DECODE_CHUNK // len(latent.deter))
        chunks = [self._decode(chunk) for chunk in latent.features.split(steps, 1)]
        return Prediction(*(torch.cat(parts, 1) for parts in zip(*chunks, strict=True)))

    def consequences(self, latent: Latent) -> Consequence:
        """Ask the two heads; see `WorldModel.consequences`."""
        features = latent.features
        return Consequence(self.reward(features), self.cont(features))

    def policy_width(self, kind: PolicyInput) -> int:
        """Return the width of what a policy reads; see `WorldModel.policy_width`."""
        if kind != "output" and self.hidden_width > MOST_HIDDEN:
            raise ValueError(
                f"the policy input {kind!r} reads the recurrent state, which here has {self.hidden_width:,} values a "
                f"step, more than {MOST_HIDDEN:,}: use 'output', or an S5 or RSSM world model"
            )
        parts = {"z": self.config.latent.size, "h": self.width, "x": self.hidden_width}
        return sum(parts[part] for part in POLICY_PARTS[kind])

    def policy_features(self, latent: Latent, state: State, kind: PolicyInput) -> Tensor:
        """Return what a policy reads, (B T F); see `WorldModel.policy_features`."""
        self.policy_width(kind)
        parts = {"z": latent.stoch.flatten(-2), "h": latent.deter}
        if "x" in POLICY_PARTS[kind]:
            assert all(leaf.shape[:2] == latent.deter.shape[:2] for leaf in tree_leaves(state)), "not (B T ...)"
            parts["x"] = self.hidden(state)
        return torch.cat([parts[part] for part in POLICY_PARTS[kind]], -1)

    def forward(self, batch: Batch, state: State | None = None, every_step: bool = False) -> Loss:
        """Return the negative ELBO, summed over pixels and latents, averaged over the batch and the counted steps."""
        beliefs = self.observe(batch, state, every_step=every_step)
        beliefs = beliefs._replace(state=tree_map(torch.Tensor.detach, beliefs.state))  # frees what its graph holds
        counted = self.counted(batch)
        share = counted.to(beliefs.post.dtype) / counted.sum().clamp(min=1)  # (B T) what a step weighs in the mean
        features = beliefs.latent.features
        means = {
            "reconstruction": reconstruction_loss(
                self.decoder, features.flatten(0, 1), batch.obs.flatten(0, 1), share.flatten(), self._chunk(batch.obs)
            )
        }
        for name, term in self._terms(batch, beliefs, features).items():
            assert term.shape == batch.first.shape, f"{name}: {tuple(term.shape)}"
            means[name] = (term * share).sum()
        weights = self.config.loss
        total = (
            means["reconstruction"]
            + weights.prior * means["dynamics"]
            + weights.posterior * means["representation"]
            + weights.reward * means["reward"]
            + weights.cont * means["cont"]
        )
        logged = {name: mean.detach() for name, mean in means.items() if name != "representation"}
        return Loss(total, logged, beliefs.state, tree_map(torch.Tensor.detach, beliefs.latent))

    def _terms(self, batch: Batch, beliefs: Beliefs, features: Tensor) -> dict[str, Tensor]:
        """Return every term of the objective but the reconstruction, per step (B T)."""
        free = self.config.loss.free_nats
        return {
            "dynamics": kl_divergence(beliefs.post.detach(), beliefs.prior).clamp(min=free),
            "representation": kl_divergence(beliefs.post, beliefs.prior.detach()).clamp(min=free),
            "reward": self.reward.loss(features, batch.reward),
            "cont": self.cont.loss(features, batch.cont),
        }

    def _encode(self, obs: Tensor, head: Callable[[Tensor], Tensor]) -> Tensor:
        """Return `head` of the embeddings: (B T ...) -> (B T X), with bounded memory where it is recomputed."""

        def encoded(frames: Tensor) -> Tensor:
            return head(self.encoder(frames))

        parts = obs.flatten(0, 1).split(self._chunk(obs))
        if self.config.recompute_encoder and torch.is_grad_enabled():
            codes = [checkpoint(encoded, part, use_reentrant=False, preserve_rng_state=False) for part in parts]
        else:
            codes = [encoded(part) for part in parts]
        return torch.cat(codes).unflatten(0, obs.shape[:2])

    def _chunk(self, obs: Tensor) -> int:
        """Return how many observations encoder and decoder work on at once."""
        return self.config.chunk or CHUNKS.get(obs.device.type, CHUNKS["cuda"])

    def _log_probabilities(self, logits: Tensor) -> Tensor:
        """Return log-probabilities of a head's output: (... K*V) -> (... K V)."""
        return log_probabilities(logits, self.config.latent)

    def _decode(self, features: Tensor) -> Prediction:
        obs = self.decoder(features.flatten(0, 1)).unflatten(0, features.shape[:2])
        return Prediction(obs, self.reward(features), self.cont(features))
