"""The contract: what the trainer, the evaluators, the probes and the Dreamer loop know of a world model. Nothing else.

Axes: B batch, T time, H horizon, A action, D deterministic width, K latents, V classes per latent, X values of the
recurrent state, F features.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, Literal, NamedTuple, TypeVar

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves, tree_map

from ..datasets.batch import Batch

State = Any  # a pytree of tensors, batch first; opaque outside the model
StepCache = Any  # what a rollout computes once (discretised matrices, ...); invalid after an optimiser step
Generators = Sequence[torch.Generator] | None  # one per batch row, or torch's global generator
PolicyInput = Literal["output", "hidden", "full"]  # (z, h), (z, x), (z, h, x), with x the recurrent state (R2I)
Tree = TypeVar("Tree")


class Latent(NamedTuple):
    """A sequence of model states; (B T ...) throughout."""

    deter: Tensor  # (B T D) h
    stoch: Tensor  # (B T K V) z, one-hot

    @property
    def features(self) -> Tensor:
        """What heads and probes read: (B T D+K*V)."""
        return torch.cat([self.deter, self.stoch.flatten(-2)], -1)


class Beliefs(NamedTuple):
    """What the model holds to be true after seeing a sequence."""

    latent: Latent  # of the posterior
    post: Tensor  # (B T K V) log-probabilities of q(z_t | x_t)
    prior: Tensor  # (B T K V) log-probabilities of p(z_t | h_t)
    state: State  # after the last step; of every step, (B T ...) and without gradients, where that was asked for


class Prediction(NamedTuple):
    """What the heads read out of a latent."""

    obs: Tensor  # (B T C H W) float images, in [0, 1] up to model error, or (B T F) vectors
    reward: Tensor  # (B T) expected reward
    cont: Tensor  # (B T) probability that the episode goes on


class Consequence(NamedTuple):
    """What a step brings besides an observation."""

    reward: Tensor  # (B T) expected reward
    cont: Tensor  # (B T) probability that the episode goes on


class Loss(NamedTuple):
    """The training loss, a mean over the counted steps; `terms` are detached scalars for the log."""

    total: Tensor  # ()
    terms: dict[str, Tensor]  # {name: ()}
    state: State  # as in `Beliefs`, detached
    latent: Latent  # of the posterior, detached: with the states of every step, where imagination begins


class WorldModel(nn.Module, ABC):
    """A world model of any family.

    `forward` IS the training loss and nothing else: under DDP gradients are averaged only through it.
    """

    @abstractmethod
    def initial(self, batch_size: int) -> State:
        """Return the state before anything was seen."""

    @abstractmethod
    def observe(
        self, batch: Batch, state: State | None = None, generators: Generators = None, every_step: bool = False
    ) -> Beliefs:
        """Filter a sequence; `batch.first` resets the state inside it. T may be 1 (acting).

        Args:
            batch: the sequence.
            state: before its first step; None: the initial one.
            generators: of the draws of z.
            every_step: whether `Beliefs.state` is that after every step, each of its leaves (B T ...) and cut off from
                gradients, instead of that after the last one. Cheap for S5 and the RSSM; other backbones go step by
                step for it.
        """

    @abstractmethod
    def step_cache(self) -> StepCache:
        """Compute once what every `imagine_step` of a rollout needs."""

    @abstractmethod
    def imagine_step(
        self, state: State, action: Tensor, cache: StepCache, generators: Generators = None
    ) -> tuple[Latent, State]:
        """Advance one step without an observation. `action` is (B A); the latent has T = 1."""

    @abstractmethod
    def predict(self, latent: Latent) -> Prediction:
        """Decode a latent sequence, in chunks over time so that memory stays bounded."""

    @abstractmethod
    def forward(self, batch: Batch, state: State | None = None, every_step: bool = False) -> Loss:
        """Return the training loss of a batch, averaged over its counted steps; `every_step` is that of `observe`."""

    def counted(self, batch: Batch) -> Tensor:
        """Return which steps the loss counts, (B T) bool: here all. Parts of a batch weigh by the number of theirs."""
        return torch.ones_like(batch.first)

    def policy_features(self, latent: Latent, state: State, kind: PolicyInput) -> Tensor:
        """Return what a policy reads of a sequence: (B T F).

        The one rule of shapes: the latent and every leaf of the state are (B T ...), with the same B and T. So they are
        in what `observe(every_step=True)` returns; the state of a single step, (B ...), goes through `one_step`.

        Raises:
            ValueError: this model has no such features; see `policy_width`.
        """
        raise ValueError(f"{type(self).__name__} has nothing for a policy to read: it is for offline use")

    def policy_width(self, kind: PolicyInput) -> int:
        """Return F of `policy_features`.

        Raises:
            ValueError: this model has no such features; the message says which it has.
        """
        raise ValueError(f"{type(self).__name__} has nothing for a policy to read: it is for offline use")

    def consequences(self, latent: Latent) -> Consequence:
        """Return reward and continue of a latent sequence: as `predict`, but for the observations where that can be."""
        prediction = self.predict(latent)
        return Consequence(prediction.reward, prediction.cont)

    def imagine(self, state: State, actions: Tensor, generators: Generators = None) -> tuple[Latent, State]:
        """Roll the model forward under `actions` (B H A).

        Returns:
            The imagined latents (B H ...) and the state after the last of them.

        Source: S4WM, Algorithm 2.
        """
        cache, state = self.step_cache(), self.begin_rollout(state, actions.shape[1])
        latents = []
        for action in actions.unbind(1):
            latent, state = self.imagine_step(state, action, cache, generators)
            latents.append(latent)
        return Latent(*(torch.cat(parts, 1) for parts in zip(*latents, strict=True))), self.end_rollout(state)

    def begin_rollout(self, state: State, steps: int) -> State:
        """Return the state in the form in which `imagine` takes its steps; see `Backbone.begin_rollout`."""
        return state

    def end_rollout(self, state: State) -> State:
        """Return the state that a rollout has come to, in its usual form."""
        return state


def one_step(tree: Tree) -> Tree:
    """Return the state or latent of one step as a sequence of one: tensors (B ...) -> (B 1 ...)."""
    return tree_map(lambda leaf: leaf[:, None], tree)


def flat_steps(tree: Tree) -> Tree:
    """Return every step of every row as a row of its own: tensors (B T ...) -> (B*T ...)."""
    return tree_map(lambda leaf: leaf.flatten(0, 1), tree)


def rows(mask: Tensor, like: Tensor) -> Tensor:
    """Return a mask of rows (B) in a shape that broadcasts with `like` (B ...)."""
    return mask.reshape(-1, *[1] * (like.dim() - 1))


class Backbone(nn.Module, ABC):
    """A causal sequence model: g_1..g_T and a state in, h_1..h_T and a state out."""

    @property
    def state_size(self) -> int:
        """Number of real values carried from step to step, per batch row; counters are not counted."""
        return sum(leaf.numel() for leaf in tree_leaves(self.initial(1)) if leaf.is_floating_point())

    @abstractmethod
    def initial(self, batch_size: int) -> State:
        """Return the state before the first step."""

    @abstractmethod
    def forward(self, g: Tensor, first: Tensor, state: State | None) -> tuple[Tensor, State]:
        """Run over a sequence: `g` (B T D), `first` (B T) bool -> h (B T D) and the state after step T.

        Where `first` is set, everything before that step is forgotten, `state` included. None stands for the initial
        state and spares its cost.
        """

    def forward_counted(
        self, g: Tensor, first: Tensor, state: State | None, inside: int | None
    ) -> tuple[Tensor, State]:
        """Run over a sequence like `forward`, given `Batch.inside`: what the host knows of `first`.

        A backbone that would have to look into `first` on the host, and so wait for the device, overrides it.
        """
        return self(g, first, state)

    def forward_states(self, g: Tensor, first: Tensor, state: State | None) -> tuple[Tensor, State]:
        """Run over a sequence like `forward`; return h and the state after EVERY step, each of its leaves (B T ...).

        The states are cut off from gradients: they are where imagination begins, and nothing is trained through them.
        This loop holds for any backbone; one whose `forward` has all states at hand overrides it.
        """
        h, _ = self(g, first, state)
        with torch.no_grad():
            initial, cache, states = self.initial(len(g)), self.step_cache(), []
            state = initial if state is None else state
            for x, start in zip(g.unbind(1), first.unbind(1), strict=True):
                kept = tree_map(lambda i, s, start=start: torch.where(rows(start, s), i, s), initial, state)
                _, state = self.step(x, kept, cache)
                states.append(state)
            return h, tree_map(lambda *leaves: torch.stack(leaves, 1), *states)

    @abstractmethod
    def step_cache(self) -> StepCache:
        """Compute once what every `step` of a rollout needs."""

    @abstractmethod
    def step(self, g: Tensor, state: State, cache: StepCache) -> tuple[Tensor, State]:
        """Advance one step: `g` (B D) -> h (B D) and the new state. Equal to `forward` with T = 1 and no reset."""

    def begin_rollout(self, state: State, steps: int) -> State:
        """Return `state` in the form in which up to `steps` steps without gradients are fastest: by default as it is.

        What is returned belongs to one rollout: `step` takes it and may change it in place, and nothing else takes it
        but `end_rollout`. The state that was given stays as it is.
        """
        return state

    def end_rollout(self, state: State) -> State:
        """Return the state that a rollout has come to, as `step` would have returned it."""
        return state
