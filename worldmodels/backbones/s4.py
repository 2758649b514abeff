"""The S4 stack of S4WM: blocks of two S4 layers and an MLP, pre-norm residuals, one norm at the end.

    x += GLU(Linear_{D->2D}(GELU(S4(LN(x)))))      twice
    x += Linear(GELU(Linear_{D->F}(LN(x))))        once

Axes: B batch, T time, D width, N state values a channel.

Source: S4WM, section 4 and Table 7; the block is the one whose parameter count is the paper's.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..base import Backbone, State
from .dplr import DPLRKernel
from .s4d import DiagonalKernel
from .siso import SISO

KERNELS: dict[str, type[SISO]] = {"dplr": DPLRKernel, "s4d": DiagonalKernel}


@dataclass(frozen=True)
class S4Config:
    """Sizes of the S4 stack (S4WM Table 7)."""

    blocks: int = 6  # of two S4 layers and one MLP each
    width: int = 512  # D
    mlp: int = 2048  # hidden width of the MLP; 0 leaves it out (S4WM's No-MLP variant, Table 4)
    state: int = 64  # N, real values per channel
    kernel: Literal["dplr", "s4d"] = "dplr"  # dplr is S4 itself; s4d is its diagonal, cheaper relative


class S4Layer(nn.Module):
    """One residual S4 layer."""

    def __init__(self, config: S4Config) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(config.width)
        self.kernel = KERNELS[config.kernel](config.width, config.state)
        self.mix = nn.Linear(config.width, 2 * config.width)

    def _residual(self, x: Tensor, y: Tensor) -> Tensor:
        return x + F.glu(self.mix(F.gelu(y)), -1)

    def forward(self, x: Tensor, first: Tensor, state: Tensor | None, resets: bool) -> tuple[Tensor, Tensor]:
        """Run over a sequence: x (B T D), first (B T), state (B D N) -> the same; `resets` as in `SISO.forward`."""
        y, state = self.kernel(self.norm(x), first, state, resets)
        return self._residual(x, y), state

    def step(self, x: Tensor, state: Tensor, cache: Any) -> tuple[Tensor, Tensor]:
        """Advance one step: x (B D), state (B D N) -> the same."""
        with torch.autocast(x.device.type, enabled=False):
            y, state = self.kernel.step(self.norm(x.to(state.dtype)), state, cache)
        return self._residual(x, y), state


class ResidualMLP(nn.Module):
    """A pre-norm position-wise MLP with a residual connection."""

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.expand = nn.Linear(width, hidden)
        self.contract = nn.Linear(hidden, width)

    def forward(self, x: Tensor) -> Tensor:
        """Map (... D) to (... D)."""
        return x + self.contract(F.gelu(self.expand(self.norm(x))))


class S4Stack(Backbone):
    """The whole stack; its state is one (B D N) tensor a layer."""

    def __init__(self, config: S4Config) -> None:
        super().__init__()
        self.config = config
        self.layers = nn.ModuleList(S4Layer(config) for _ in range(2 * config.blocks))
        self.mlps = nn.ModuleList(
            ResidualMLP(config.width, config.mlp) for _ in range(config.blocks if config.mlp else 0)
        )
        self.norm = nn.LayerNorm(config.width)

    def initial(self, batch_size: int) -> tuple[Tensor, ...]:
        """Return zeros: one (B D N) a layer."""
        like = self.norm.weight
        return tuple(like.new_zeros(batch_size, self.config.width, self.config.state) for _ in self.layers)

    def forward(self, g: Tensor, first: Tensor, state: State | None) -> tuple[Tensor, State]:
        """Run over a sequence; T = 1 takes the recurrent path. See `Backbone.forward`."""
        if g.shape[1] == 1:
            state = self.initial(len(g)) if state is None else state
            kept = tuple(torch.where(first[:, :1, None], 0.0, s) for s in state)
            h, state = self.step(g[:, 0], kept, self.step_cache())
            return h[:, None], state
        x, states, resets = g, [], bool(first[:, 1:].any())
        for index, layer in enumerate(self.layers):
            x, last = layer(x, first, None if state is None else state[index], resets)
            states.append(last)
            x = self._after(index, x)
        return self.norm(x), tuple(states)

    def step_cache(self) -> tuple[Any, ...]:
        """Discretise every layer once."""
        return tuple(layer.kernel.step_cache() for layer in self._layers())

    def step(self, g: Tensor, state: State, cache: Any) -> tuple[Tensor, State]:
        """Advance one step; see `Backbone.step`."""
        x, states = g, []
        for index, layer in enumerate(self._layers()):
            x, new = layer.step(x, state[index], cache[index])
            states.append(new)
            x = self._after(index, x)
        return self.norm(x), tuple(states)

    def _layers(self) -> Iterator[S4Layer]:
        """Return the layers with the type that `ModuleList` forgets."""
        return cast(Iterator[S4Layer], iter(self.layers))

    def _after(self, index: int, x: Tensor) -> Tensor:
        """Apply the MLP that closes a block, after its second layer."""
        return self.mlps[index // 2](x) if self.mlps and index % 2 else x
