"""A stack of state-space layers, with an MLP after every block of them and, if they are pre-norm, one norm at the end.

Axes: B batch, T time, D width.

Source: S4WM, section 4 and Table 7: blocks of two S4 layers and an MLP, whose parameter count is the paper's; R2I,
section 3: post-norm S5 layers without MLPs.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_map

from ..base import Backbone, State, rows
from .block import SSM, Norm, Resets, ResidualMLP, RunningSystem, SSMLayer


class SSMStack(Backbone):
    """Any state-space systems, one a layer; the state is a tuple with the state of each."""

    def __init__(
        self, kernel: Callable[[], SSM], width: int, mlp: int, blocks: int, layers: int = 2, norm: Norm = "pre"
    ) -> None:
        """Build the stack.

        Args:
            kernel: makes a new state-space system, one for every layer.
            width: D.
            mlp: hidden width of the MLPs; 0 leaves them out.
            blocks: how often `layers` layers and an MLP are repeated.
            layers: layers of a block.
            norm: where the layers have their norm.
        """
        super().__init__()
        self.per_block = layers
        self.layers = nn.ModuleList(SSMLayer(kernel(), width, norm) for _ in range(blocks * layers))
        self.mlps = nn.ModuleList(ResidualMLP(width, mlp) for _ in range(blocks if mlp else 0))
        self.norm = nn.LayerNorm(width) if norm == "pre" else nn.Identity()

    def initial(self, batch_size: int) -> tuple[State, ...]:
        """Return zeros."""
        return tuple(layer.kernel.initial(batch_size) for layer in self._layers())

    def forward(self, g: Tensor, first: Tensor, state: State | None) -> tuple[Tensor, State]:
        """Run over a sequence; see `Backbone.forward`."""
        return self.forward_counted(g, first, state, None)

    def forward_counted(
        self, g: Tensor, first: Tensor, state: State | None, inside: int | None
    ) -> tuple[Tensor, State]:
        """Run over a sequence; T = 1 takes the recurrent path. See `Backbone.forward_counted`."""
        if g.shape[1] == 1:
            return self._one_step(g, first, state)
        resets = Resets(first, inside)
        return self._through(g, lambda i, x: self._layers()[i](x, resets, None if state is None else state[i]))

    def step_cache(self) -> tuple[Any, ...]:
        """Discretise every layer once."""
        return tuple(layer.kernel.step_cache() for layer in self._layers())

    def step(self, g: Tensor, state: State, cache: tuple[Any, ...]) -> tuple[Tensor, State]:
        """Advance one step; see `Backbone.step`."""
        return self._through(g, lambda i, x: self._layers()[i].step(x, state[i], cache[i]))

    def begin_rollout(self, state: State, steps: int) -> State:
        """Begin with every layer; see `Backbone.begin_rollout`."""
        if torch.is_grad_enabled() or torch.compiler.is_compiling():
            return state
        return tuple(layer.kernel.begin_rollout(s, steps) for layer, s in zip(self._layers(), state, strict=True))

    def end_rollout(self, state: State) -> State:
        """End with every layer; see `Backbone.end_rollout`."""
        return tuple(s.state() if isinstance(s, RunningSystem) else s for s in state)

    def _one_step(self, g: Tensor, first: Tensor, state: State | None) -> tuple[Tensor, State]:
        state = self.initial(len(g)) if state is None else state
        kept = tree_map(lambda s: torch.where(rows(first, s), 0.0, s), state)
        h, state = self.step(g[:, 0], kept, self.step_cache())
        return h[:, None], state

    def _through(self, x: Tensor, layer: Callable[[int, Tensor], tuple[Tensor, State]]) -> tuple[Tensor, State]:
        """Run x (... D) through the stack; `layer` maps an index and x to x and what is to be known of its state."""
        states = []
        for index in range(len(self.layers)):
            x, state = layer(index, x)
            states.append(state)
            if self.mlps and (index + 1) % self.per_block == 0:
                x = self.mlps[index // self.per_block](x)
        return self.norm(x), tuple(states)

    def _layers(self) -> Sequence[SSMLayer]:
        """Return the layers with the type that `ModuleList` forgets."""
        return cast(Sequence[SSMLayer], self.layers)
