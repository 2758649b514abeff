"""S5: one diagonal state-space system from D inputs to D outputs, whose states come out of a parallel scan.

    x_t = a x_{t-1} + B u_t        y_t = 2 Re(C x_t) + D u_t        (one of each conjugate pair is carried)

S5WM is S4WM's stack with S5 in the place of S4. R2I's S3M is a stack of post-norm layers without MLPs; its policy reads
x_t, which is why every x_t can be had (`forward_states`).

Axes: B batch, T time, D width, N real state values, n = N/2 conjugate pairs; a complex number is stored as two reals.

Source: Smith et al. 2023 (S5): HiPPO-LegS's normal part in blocks as initial state matrix, zero-order hold; R2I,
section 3: the bilinear transform. C is drawn with the fan-in of its rows (R2I's code draws it by the square root of D
too small); eigenvalues keep a negative real part.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Literal, NamedTuple, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils._pytree import tree_map

from ..base import State
from .block import SSM, Norm, Resets
from .hippo import legs_nplr
from .parameters import DT_MAX, DT_MIN, as_parameter, check_steps, lecun_normal, log_dt
from .scan import linear_scan
from .stack import SSMStack

Discretisation = Literal["bilinear", "zoh"]


@dataclass(frozen=True)
class S5Config:
    """Sizes of the S5 stack: by default S4WM's, with S5 layers. R2I's layers: layers=1, mlp=0, norm="post"."""

    blocks: int = 6  # of `layers` S5 layers and one MLP each
    layers: int = 2  # a block
    width: int = 512  # D
    mlp: int = 2048  # hidden width of the MLP; 0 leaves it out
    state: int = 512  # N, real values a layer, in conjugate pairs
    hippo_blocks: int = 8  # independent HiPPO-LegS systems that the state begins as
    discretisation: Discretisation = "bilinear"  # R2I's; the S5 paper holds the input ("zoh")
    norm: Norm = "pre"  # where a layer has its norm; "post" is R2I's, which has no MLP
    dt_min: float = DT_MIN  # initial step sizes begin in [dt_min, dt_max], uniform in the logarithm
    dt_max: float = DT_MAX

    def __post_init__(self) -> None:
        check_steps(self.dt_min, self.dt_max)
        if self.hippo_blocks < 1:
            raise ValueError(f"hippo_blocks must be 1 or more, not {self.hippo_blocks}")
        if self.state % (2 * self.hippo_blocks):
            raise ValueError(
                f"a state of {self.state} does not make {self.hippo_blocks} blocks of conjugate pairs: "
                f"use a multiple of {2 * self.hippo_blocks}"
            )
        if self.norm == "post" and self.mlp:
            raise ValueError(f"post-norm layers have no MLP between them, so mlp={self.mlp} must be 0")


class Discrete(NamedTuple):
    """A discretised system."""

    a: Tensor  # (n) complex128
    B: Tensor  # (N D)
    C: Tensor  # (D N), y = C x on the two reals of every x


class S5Step(NamedTuple):
    """A rollout's constants; a complex product is real x + imaginary * (x with its two reals swapped)."""

    real: Tensor  # (n 1)
    imaginary: Tensor  # (n 2)
    B: Tensor  # (N D)
    C: Tensor  # (D N)


class S5(SSM):
    """The system; its state is (B n 2)."""

    ssm_parameters = ("log_dt", "log_decay", "frequency", "B")

    def __init__(
        self,
        width: int,
        state: int,
        hippo_blocks: int,
        discretisation: Discretisation,
        dt_min: float = DT_MIN,
        dt_max: float = DT_MAX,
    ) -> None:
        super().__init__()
        self.discretisation, pairs = discretisation, state // 2
        hippo = legs_nplr(state // hippo_blocks)
        V = torch.block_diag(*[hippo.V] * hippo_blocks)  # (N n)
        self.log_dt = nn.Parameter(log_dt(pairs, dt_min, dt_max))
        self.log_decay = nn.Parameter((-hippo.eigenvalues.real).log().float().repeat(hippo_blocks))
        self.frequency = nn.Parameter(hippo.eigenvalues.imag.float().repeat(hippo_blocks))
        self.B = as_parameter(V.conj().T @ lecun_normal(state, width).to(V.dtype))  # (n D 2)
        self.C = as_parameter(lecun_normal(width, state).to(V.dtype) @ V)  # (D n 2)
        self.D = nn.Parameter(torch.randn(width))

    def initial(self, batch_size: int) -> Tensor:
        """Return zeros (B n 2)."""
        return self.D.new_zeros(batch_size, len(self.log_dt), 2)

    def forward(self, u: Tensor, resets: Resets, state: Tensor | None) -> tuple[Tensor, Tensor]:
        """Run over a sequence: u (B T D), state (B n 2) -> y (B T D), state; see `SSM.forward`."""
        y, states = self.forward_states(u, resets, state)
        return y, states[:, -1].clone()  # a view would keep every state in memory

    def forward_states(self, u: Tensor, resets: Resets, state: Tensor | None) -> tuple[Tensor, Tensor]:
        """Run over a sequence like `forward`; return y (B T D) and the state after every step (B T n 2)."""
        a, B, C = self._discretise()
        inputs = torch.view_as_complex(F.linear(u, B).unflatten(-1, (-1, 2)))  # (B T n)
        start = torch.view_as_complex(self.initial(len(u)) if state is None else state)
        states = torch.view_as_real(linear_scan(a, inputs, start, ~resets.first))
        return F.linear(states.flatten(-2), C) + self.D * u, states

    def step_cache(self) -> S5Step:
        """Discretise once for a rollout."""
        a, B, C = self._discretise()
        real, imaginary = torch.view_as_real(a).to(B.dtype).split(1, -1)
        return S5Step(real, torch.cat([-imaginary, imaginary], -1), B, C)

    def step(self, u: Tensor, state: Tensor, cache: S5Step) -> tuple[Tensor, Tensor]:
        """Advance one step: u (B D), state (B n 2) -> y (B D), state (B n 2)."""
        inputs = F.linear(u, cache.B).unflatten(-1, (-1, 2))
        state = torch.addcmul(torch.addcmul(inputs, cache.real, state), cache.imaginary, state.flip(-1))
        return F.linear(state.flatten(-2), cache.C) + self.D * u, state

    def _discretise(self) -> Discrete:
        """Discretise in float64: a power of `a` needs the digits."""
        eigenvalues = torch.complex(-self.log_decay.double().exp(), self.frequency.double())
        dt = self.log_dt.double().exp()
        if self.discretisation == "zoh":
            a = (dt * eigenvalues).exp()
            scale = (a - 1) / eigenvalues
        else:
            a = (1 + dt / 2 * eigenvalues) / (1 - dt / 2 * eigenvalues)
            scale = dt / (1 - dt / 2 * eigenvalues)
        B = scale[:, None].to(self.D.dtype.to_complex()) * torch.view_as_complex(self.B)  # (n D)
        B = torch.view_as_real(B).transpose(1, 2).flatten(0, 1)
        C = torch.stack([2 * self.C[..., 0], -2 * self.C[..., 1]], -1)  # 2 Re(c x) = 2 (Re c Re x - Im c Im x)
        return Discrete(a, B, C.flatten(1))


class S5Stack(SSMStack):
    """The whole stack; its state is one (B n 2) tensor a layer."""

    def __init__(self, config: S5Config) -> None:
        sizes = (config.width, config.state, config.hippo_blocks)
        kernel = partial(S5, *sizes, config.discretisation, config.dt_min, config.dt_max)
        super().__init__(kernel, config.width, config.mlp, config.blocks, config.layers, config.norm)
        # as S5's and R2I's own code begins: thrice torch's variance, so that more of a layer's output is from its state
        for layer in self._layers():
            layer.mix.weight.data.copy_(lecun_normal(*layer.mix.weight.shape))
            nn.init.zeros_(layer.mix.bias)

    def forward_states(self, g: Tensor, first: Tensor, state: State | None) -> tuple[Tensor, State]:
        """Return what the scans have computed anyway; see `Backbone.forward_states`."""
        resets = Resets(first)

        def run(index: int, x: Tensor) -> tuple[Tensor, State]:
            layer = self._layers()[index]
            kernel = cast(S5, layer.kernel)
            return layer.around(kernel.forward_states, x, resets, None if state is None else state[index])

        h, states = self._through(g, run)
        return h, tree_map(Tensor.detach, states)
