"""The perceptrons around the backbone.

Source: DreamerV3 (v1): a LayerNorm before SiLU, and no bias before a norm.
"""

from __future__ import annotations

from itertools import pairwise

from torch import nn

NORM_EPS = 1e-3


def norm_act(inputs: int, outputs: int) -> nn.Sequential:
    """Return Linear (no bias), LayerNorm, SiLU: (... inputs) -> (... outputs)."""
    return nn.Sequential(nn.Linear(inputs, outputs, bias=False), nn.LayerNorm(outputs, eps=NORM_EPS), nn.SiLU())


def perceptron(inputs: int, hidden: int, outputs: int, layers: int = 1) -> nn.Sequential:
    """Return `layers` hidden layers and a linear output: (... inputs) -> (... outputs)."""
    widths = [inputs] + [hidden] * layers
    hiddens = [norm_act(before, after) for before, after in pairwise(widths)]
    return nn.Sequential(*hiddens, nn.Linear(hidden, outputs))
