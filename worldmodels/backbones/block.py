"""The residual layers that the state-space stacks are made of.

    pre-norm (S4WM)     x += GLU(Linear_{D->2D}(GELU(SSM(LN(x)))))
    post-norm (R2I)     x = LN(x + GLU(Linear_{D->2D}(GELU(SSM(x)))))
    MLP                 x += Linear(GELU(Linear_{D->F}(LN(x))))

Axes: B batch, T time, D width, F hidden width of the MLP; the tensors of a state are (B ...).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from functools import cached_property
from typing import Any, ClassVar, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ...datasets.batch import most_starts
from ..base import State
from .convolution import segments

Norm = Literal["pre", "post"]


class Resets:
    """Where the rows of a batch start anew, as all layers of a stack share it."""

    def __init__(self, first: Tensor, inside: int | None = None) -> None:
        self.first = first  # (B T) bool
        self._inside = inside

    @cached_property
    def segment(self) -> Tensor:
        """The number of the stretch that a step belongs to, from 0 in every row: (B T) int64."""
        found = segments(self.first)
        return found - found[:, :1]

    @cached_property
    def inside(self) -> int:
        """How often, at most, a row starts anew after step 0. Where nobody has said, the host waits: once a stack."""
        return most_starts(self.first) if self._inside is None else self._inside


class RunningSystem(ABC):
    """The state of a system inside one rollout, in a form that makes steps cheap; each step changes it."""

    @abstractmethod
    def step(self, u: Tensor) -> tuple[Tensor, RunningSystem]:
        """Advance one step: u (B D) -> y (B D), and this system itself."""

    @abstractmethod
    def state(self) -> State:
        """Return the state as `SSM.step` has it."""


class SSM(nn.Module, ABC):
    """A linear state-space system from D inputs to D outputs; called outside autocast, in float32 or wider."""

    ssm_parameters: ClassVar[tuple[str, ...]]  # names of the parameters that learn slowly and do not decay

    @abstractmethod
    def initial(self, batch_size: int) -> State:
        """Return the state before the first step: zeros, tensors (B ...)."""

    @abstractmethod
    def forward(self, u: Tensor, resets: Resets, state: State | None) -> tuple[Tensor, State]:
        """Run over a sequence: u (B T D), a state, None for zeros -> y (B T D), the state after step T."""

    @abstractmethod
    def step_cache(self) -> Any:
        """Discretise once for a rollout."""

    @abstractmethod
    def step(self, u: Tensor, state: State, cache: Any) -> tuple[Tensor, State]:
        """Advance one step: u (B D), a state -> y (B D), a state."""

    def begin_rollout(self, state: State, steps: int) -> State | RunningSystem:
        """Return what `steps` steps without gradients begin at: the state, or a running system where that is faster."""
        return state


class SSMLayer(nn.Module):
    """One residual layer around a state-space system."""

    def __init__(self, kernel: SSM, width: int, norm: Norm = "pre") -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.kernel = kernel
        self.mix = nn.Linear(width, 2 * width)
        self.post = norm == "post"

    def forward(self, x: Tensor, resets: Resets, state: State | None) -> tuple[Tensor, State]:
        """Run over a sequence: x (B T D), a state -> the same."""
        return self.around(self.kernel, x, resets, state)

    def step(self, x: Tensor, state: State, cache: Any) -> tuple[Tensor, State]:
        """Advance one step: x (B D), a state or a running system -> the same."""
        if isinstance(state, RunningSystem):
            return self.around(state.step, x)
        return self.around(self.kernel.step, x, state, cache)

    def around(self, run: Callable[..., tuple[Tensor, State]], x: Tensor, *arguments: Any) -> tuple[Tensor, State]:
        """Put the layer around a way to run its kernel: `run` maps the input and `arguments` to y and its states."""
        with torch.autocast(x.device.type, enabled=False):
            y, states = run(self._input(x), *arguments)
        return self._output(x, y), states

    def _input(self, x: Tensor) -> Tensor:
        wide = x.to(torch.promote_types(x.dtype, self.norm.weight.dtype))
        return wide if self.post else self.norm(wide)

    def _output(self, x: Tensor, y: Tensor) -> Tensor:
        x = x + F.glu(self.mix(F.gelu(y)), -1)
        return self.norm(x) if self.post else x


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
