"""Training with `torch.compile`, region by region: what is made of layers between the recurrences.

Whole models do not compile in one piece: the decoder's loss takes its gradients inside the forward pass, scans and
convolutions over time are autograd functions of their own, and complex numbers are left to eager code anyway. What is
left, convolutions with their norms, perceptrons and MLPs, is where fusing pays. The modules stay what they are:
their names in a checkpoint do not change, and a run may be resumed with or without.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import nn

from .backbones.block import ResidualMLP
from .networks import Layers
from .rollout import check_compiler

REGIONS = (Layers, ResidualMLP)
# dynamo keeps what it has compiled by code, and all regions of a class share theirs: one entry for each region, shape
# (whole and last chunk, in training and in validation), and with or without gradients; at its 8 it would give up
LIMIT = 512


def compile_regions(model: nn.Module, device: torch.device, backend: str | Callable[..., Any] = "inductor") -> None:
    """Have the regions of a model compiled, in place, each when it is first run.

    Args:
        model: the world model, before or after it is wrapped.
        device: on which it will run.
        backend: of `torch.compile`.

    Raises:
        ValueError: there is no C++ compiler, which a CPU needs.
    """
    if device.type == "cpu" and backend == "inductor":
        check_compiler()
    for name in ("recompile_limit", "accumulated_recompile_limit"):
        setattr(torch._dynamo.config, name, max(LIMIT, getattr(torch._dynamo.config, name)))
    for region in regions(model):
        region.compile(backend=backend, dynamic=False)


def regions(module: nn.Module) -> Iterator[nn.Module]:
    """Yield the outermost modules that are compiled."""
    if isinstance(module, REGIONS):
        yield module
    else:
        for child in module.children():
            yield from regions(child)
