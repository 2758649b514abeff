"""TSSM-XL's backbone: a Transformer-XL in which every layer sees exactly the last M steps.

    x += Attention(LN(x))                             of M past steps, relative positions
    x += Linear(GELU(Linear_{D->F}(LN(x))))           no norm at the end

Axes: B batch, T time, D width, H heads, E head width, M memory.

Source: S4WM, Tables 7 and 8 (TSSM-XL); the block is the one whose parameter count is the paper's. Gradients go through
the carried memory: whoever carries it from batch to batch detaches it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..base import Backbone, State
from .attention import AttentionCache, Biases, RelativeAttention, band, padding
from .block import ResidualMLP


@dataclass(frozen=True)
class TransformerXLConfig:
    """Sizes of the Transformer-XL (S4WM Table 7)."""

    layers: int = 12
    width: int = 512  # D
    mlp: int = 512  # hidden width of the MLPs
    heads: int = 8  # H; each is D / H wide, rounded up
    memory: int = 128  # M, the past steps that a layer sees

    def __post_init__(self) -> None:
        if self.memory < 1 or self.heads < 1:
            raise ValueError(f"memory {self.memory} and heads {self.heads}: both must be at least 1")


class TransformerState(NamedTuple):
    """What is carried from step to step."""

    memory: tuple[Tensor, ...]  # (B H 2 M E) a layer, the projected keys and values of the last M steps, oldest first
    filled: Tensor  # (B) int64, how many of them are there yet; the rest is zero


class TransformerXL(Backbone):
    """The whole stack."""

    def __init__(self, config: TransformerXLConfig) -> None:
        super().__init__()
        self.config = config
        self.attention = nn.ModuleList(
            RelativeAttention(config.width, config.heads, config.memory) for _ in range(config.layers)
        )
        self.mlps = nn.ModuleList(ResidualMLP(config.width, config.mlp) for _ in range(config.layers))
        shape = config.heads, -(-config.width // config.heads)
        self.content_bias = nn.Parameter(0.02 * torch.randn(shape))  # u and v: shared by all layers
        self.position_bias = nn.Parameter(0.02 * torch.randn(shape))

    def initial(self, batch_size: int) -> TransformerState:
        """Return empty memories."""
        memory = tuple(layer.initial(batch_size) for layer in self._attention())
        return TransformerState(memory, torch.zeros(batch_size, dtype=torch.long, device=self.content_bias.device))

    def forward(self, g: Tensor, first: Tensor, state: State | None) -> tuple[Tensor, TransformerState]:
        """Run over a sequence; see `Backbone.forward`."""
        state = self.initial(len(g)) if state is None else state
        where = band(first, state.filled, self.config.memory)
        x, memories = F.pad(g, (0, 0, 0, padding(g.shape[1]))), []
        for attention, mlp, memory in zip(self._attention(), self.mlps, state.memory, strict=True):
            x, last = attention(x, memory, self._biases, where)
            memories.append(last)
            x = mlp(x)
        return x[:, : g.shape[1]], TransformerState(tuple(memories), where.filled)

    def step_cache(self) -> tuple[AttentionCache, ...]:
        """Project the positions of every layer once."""
        return tuple(layer.step_cache() for layer in self._attention())

    def step(self, g: Tensor, state: State, cache: tuple[AttentionCache, ...]) -> tuple[Tensor, TransformerState]:
        """Advance one step; see `Backbone.step`."""
        oldest = self.config.memory - state.filled  # (B) where the memory begins
        hidden = torch.arange(self.config.memory + 1, device=g.device) < oldest[:, None, None, None]
        x, memories = g, []
        for attention, mlp, memory, own in zip(self._attention(), self.mlps, state.memory, cache, strict=True):
            x, last = attention.step(x, memory, self._biases, hidden, own)
            memories.append(last)
            x = mlp(x)
        return x, TransformerState(tuple(memories), (state.filled + 1).clamp(max=self.config.memory))

    @property
    def _biases(self) -> Biases:
        return Biases(self.content_bias, self.position_bias)

    def _attention(self) -> Iterator[RelativeAttention]:
        """Return the layers with the type that `ModuleList` forgets."""
        return cast(Iterator[RelativeAttention], iter(self.attention))
