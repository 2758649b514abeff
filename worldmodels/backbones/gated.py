"""A gated linear recurrence in the style of Mamba-2: what is remembered, and for how long, depends on the input.

    z, v, k, q, d = Linear(LN(x))        dt = softplus(d + bias)        a = exp(-exp(log_rate) dt)
    S_t = a_t S_{t-1} + k_t (dt_t v_t)^T        y_t = q_t S_t + skip v_t
    x += Linear(RMSNorm(y silu(z)))

One norm at the end. Axes: B batch, T time, D width, N state, H heads, P head width.

Source: Dao and Gu 2024 (Mamba-2), section 7 and figure 6. Deviations: LayerNorm before each layer, and no convolution
over neighbouring steps (g_t holds z_{t-1} and a_t together already), nor the SiLU behind it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar, NamedTuple, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..base import Backbone, State
from .ssd import ssd, ssd_step

DT_MIN, DT_MAX = 1e-3, 1e-1  # Mamba-2's range of initial step sizes
DECAY_MIN, DECAY_MAX = 1.0, 16.0  # and of initial rates of decay


@dataclass(frozen=True)
class GatedConfig:
    """Sizes of the gated stack: by default as many layers, state values and, nearly, parameters as S4WM's."""

    layers: int = 12
    width: int = 512  # D
    expand: int = 2  # width inside a layer, as a multiple of D
    heads: int = 16  # H; each is expand D / H wide, rounded up
    state: int = 32  # N, the values that every channel inside a layer keeps

    def __post_init__(self) -> None:
        for name in ("layers", "expand", "heads", "state"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be 1 or more, not {getattr(self, name)}")


class Inputs(NamedTuple):
    """What a layer makes of its input, (B ...) in a step and (B T ...) in a sequence."""

    gate: Tensor  # (... H P) z
    value: Tensor  # (... H P) v
    key: Tensor  # (... N) k
    query: Tensor  # (... N) q
    dt: Tensor  # (... H)


class GatedLayer(nn.Module):
    """One residual layer. Between its two linear maps everything is computed in float32 or wider."""

    ssm_parameters: ClassVar[tuple[str, ...]] = ("log_rate", "dt_bias")  # they learn slowly and do not decay

    def __init__(self, config: GatedConfig) -> None:
        super().__init__()
        heads, self.state = config.heads, config.state
        self.head = -(-config.expand * config.width // heads)  # P
        inner = heads * self.head
        self.norm = nn.LayerNorm(config.width)
        self.project = nn.Linear(config.width, 2 * inner + 2 * config.state + heads, bias=False)
        self.log_rate = nn.Parameter(torch.empty(heads).uniform_(DECAY_MIN, DECAY_MAX).log())
        dt = torch.empty(heads).uniform_(math.log(DT_MIN), math.log(DT_MAX)).exp()
        self.dt_bias = nn.Parameter(dt.expm1().log())  # softplus' inverse
        self.skip = nn.Parameter(torch.ones(heads))
        self.gate_norm = nn.RMSNorm(inner, eps=1e-5)
        self.mix = nn.Linear(inner, config.width, bias=False)

    def initial(self, batch_size: int) -> Tensor:
        """Return zeros (B N H P)."""
        return self.skip.new_zeros(batch_size, self.state, len(self.skip), self.head)

    def forward(self, x: Tensor, first: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        """Run over a sequence: x (B T D), first (B T), state (B N H P) -> x and the state after step T."""
        projected = self.project(self.norm(x))
        with torch.autocast(x.device.type, enabled=False):
            u = self._inputs(projected)
            y, state = ssd(u.query, u.key, self._written(u), self._log_decay(u), first, state)
            y = self._gated(u, y)
        return x + self.mix(y), state

    def step(self, x: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        """Advance one step: x (B D), state (B N H P) -> the same."""
        projected = self.project(self.norm(x))
        with torch.autocast(x.device.type, enabled=False):
            u = self._inputs(projected)
            y, state = ssd_step(u.query, u.key, self._written(u), self._log_decay(u), state)
            y = self._gated(u, y)
        return x + self.mix(y), state

    def _inputs(self, projected: Tensor) -> Inputs:
        wide = projected.to(torch.promote_types(projected.dtype, self.skip.dtype))
        heads = len(self.skip)
        inner = heads * self.head
        gate, value, key, query, dt = wide.split([inner, inner, self.state, self.state, heads], -1)
        gate, value = (part.unflatten(-1, (heads, self.head)) for part in (gate, value))
        return Inputs(gate, value, key, query, F.softplus(dt + self.dt_bias))

    def _written(self, u: Inputs) -> Tensor:
        return u.value * u.dt[..., None]

    def _log_decay(self, u: Inputs) -> Tensor:
        return -self.log_rate.exp() * u.dt

    def _gated(self, u: Inputs, y: Tensor) -> Tensor:
        """Return what the layer's last linear map reads: (... HP)."""
        y = y + self.skip[:, None] * u.value
        return self.gate_norm((y * F.silu(u.gate)).flatten(-2))


class GatedStack(Backbone):
    """The whole stack; its state is one (B N H P) tensor a layer."""

    def __init__(self, config: GatedConfig) -> None:
        super().__init__()
        self.layers = nn.ModuleList(GatedLayer(config) for _ in range(config.layers))
        self.norm = nn.LayerNorm(config.width)

    def initial(self, batch_size: int) -> tuple[Tensor, ...]:
        """Return zeros: one (B N H P) a layer."""
        return tuple(layer.initial(batch_size) for layer in self._layers())

    def forward(self, g: Tensor, first: Tensor, state: State | None) -> tuple[Tensor, State]:
        """Run over a sequence; see `Backbone.forward`."""
        x, states = g, []
        for layer, before in zip(self._layers(), self.initial(len(g)) if state is None else state, strict=True):
            x, after = layer(x, first, before)
            states.append(after)
        return self.norm(x), tuple(states)

    def step_cache(self) -> None:
        """Nothing to prepare: the decay depends on the input."""

    def step(self, g: Tensor, state: State, cache: None) -> tuple[Tensor, State]:
        """Advance one step; see `Backbone.step`."""
        x, states = g, []
        for layer, before in zip(self._layers(), state, strict=True):
            x, after = layer.step(x, before)
            states.append(after)
        return self.norm(x), tuple(states)

    def _layers(self) -> Iterator[GatedLayer]:
        """Return the layers with the type that `ModuleList` forgets."""
        return cast(Iterator[GatedLayer], iter(self.layers))
