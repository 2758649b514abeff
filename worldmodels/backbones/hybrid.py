"""A hybrid: state-space blocks for the gist, one sliding-window attention block in their middle for the details.

    h = S4(Attention(S4(g)))

Each part is a backbone of its own, so a chain of backbones is all there is; the S4 stack before the attention ends with
its norm. The kernel is S4D: of the recurrences here, its blocks train fastest for their number of parameters.

Axes: B batch, T time, D width.

Source: S4WM, section 6, names the combination of S4 and attention as future work; this layout is ours.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, cast

from torch import Tensor, nn

from ..base import Backbone, State
from .parameters import DT_MAX, DT_MIN, check_steps
from .s4 import S4Config, S4Stack
from .transformer_xl import TransformerXL, TransformerXLConfig


@dataclass(frozen=True)
class HybridConfig:
    """Sizes of the hybrid: about as large as S4WM's stack, one block of which attention replaces."""

    before: int = 3  # blocks of two S4D layers and one MLP before the attention
    after: int = 2  # and after it
    width: int = 512  # D
    mlp: int = 2048  # hidden width of all MLPs
    state: int = 64  # N, real values per channel of a state-space layer
    heads: int = 8  # of the attention
    memory: int = 128  # M, the past steps that the attention sees
    dt_min: float = DT_MIN  # the state-space layers' step sizes begin in [dt_min, dt_max], uniform in the logarithm
    dt_max: float = DT_MAX

    def __post_init__(self) -> None:
        check_steps(self.dt_min, self.dt_max)


class HybridStack(Backbone):
    """S4D blocks, an attention block, S4D blocks; the state is a tuple with the state of each."""

    def __init__(self, config: HybridConfig) -> None:
        super().__init__()
        width, mlp = config.width, config.mlp
        before = S4Config(config.before, width, mlp, config.state, "s4d", config.dt_min, config.dt_max)
        self.parts = nn.ModuleList(
            [
                S4Stack(before),
                TransformerXL(TransformerXLConfig(1, width, mlp, config.heads, config.memory)),
                S4Stack(replace(before, blocks=config.after)),
            ]
        )

    def initial(self, batch_size: int) -> tuple[State, ...]:
        """Return the initial state of each part."""
        return tuple(part.initial(batch_size) for part in self._parts())

    def forward(self, g: Tensor, first: Tensor, state: State | None) -> tuple[Tensor, State]:
        """Run over a sequence, part by part; see `Backbone.forward`."""
        return self.forward_counted(g, first, state, None)

    def forward_counted(
        self, g: Tensor, first: Tensor, state: State | None, inside: int | None
    ) -> tuple[Tensor, State]:
        """Run over a sequence, part by part; see `Backbone.forward_counted`."""
        x, states = g, []
        for index, part in enumerate(self._parts()):
            x, after = part.forward_counted(x, first, None if state is None else state[index], inside)
            states.append(after)
        return x, tuple(states)

    def step_cache(self) -> tuple[Any, ...]:
        """Return the cache of each part."""
        return tuple(part.step_cache() for part in self._parts())

    def step(self, g: Tensor, state: State, cache: tuple[Any, ...]) -> tuple[Tensor, State]:
        """Advance one step; see `Backbone.step`."""
        x, states = g, []
        for part, before, own in zip(self._parts(), state, cache, strict=True):
            x, after = part.step(x, before, own)
            states.append(after)
        return x, tuple(states)

    def begin_rollout(self, state: State, steps: int) -> State:
        """Begin with every part; see `Backbone.begin_rollout`."""
        return tuple(part.begin_rollout(own, steps) for part, own in zip(self._parts(), state, strict=True))

    def end_rollout(self, state: State) -> State:
        """End with every part; see `Backbone.end_rollout`."""
        return tuple(part.end_rollout(own) for part, own in zip(self._parts(), state, strict=True))

    def _parts(self) -> Iterator[Backbone]:
        """Return the parts with the type that `ModuleList` forgets."""
        return cast(Iterator[Backbone], iter(self.parts))
