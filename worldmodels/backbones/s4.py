"""The S4 stack of S4WM: blocks of two S4 layers and an MLP, pre-norm residuals, one norm at the end.

Source: S4WM, section 4 and Table 7.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Literal

from .dplr import DPLRKernel
from .parameters import DT_MAX, DT_MIN, check_steps
from .s4d import DiagonalKernel
from .siso import SISO
from .stack import SSMStack

KERNELS: dict[str, type[SISO]] = {"dplr": DPLRKernel, "s4d": DiagonalKernel}


@dataclass(frozen=True)
class S4Config:
    """Sizes of the S4 stack (S4WM Table 7)."""

    blocks: int = 6  # of two S4 layers and one MLP each
    width: int = 512  # D
    mlp: int = 2048  # hidden width of the MLP; 0 leaves it out (S4WM's No-MLP variant, Table 4)
    state: int = 64  # N, real values per channel
    kernel: Literal["dplr", "s4d"] = "dplr"  # dplr is S4 itself; s4d is its diagonal, cheaper relative
    dt_min: float = DT_MIN  # initial step sizes begin in [dt_min, dt_max], uniform in the logarithm
    dt_max: float = DT_MAX

    def __post_init__(self) -> None:
        check_steps(self.dt_min, self.dt_max)


class S4Stack(SSMStack):
    """Two S4 layers and an MLP a block."""

    def __init__(self, config: S4Config) -> None:
        kernel = partial(KERNELS[config.kernel], config.width, config.state, config.dt_min, config.dt_max)
        super().__init__(kernel, config.width, config.mlp, config.blocks)
