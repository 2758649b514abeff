"""Every backbone, by the dataclass that configures it: one line each, and one more name in the union.

The contract tests run on every entry's defaults at a small width.
"""

from __future__ import annotations

from ..base import Backbone
from .s4 import S4Config, S4Stack

BackboneConfig = S4Config  # a union: S4Config | MineConfig; each has `width`, the D of g and h

BACKBONES: dict[type, type[Backbone]] = {
    S4Config: S4Stack,
}


def build_backbone(config: BackboneConfig) -> Backbone:
    """Return a new backbone.

    Raises:
        ValueError: nothing is built from such a configuration.
    """
    if type(config) not in BACKBONES:
        known = ", ".join(kind.__name__ for kind in BACKBONES)
        raise ValueError(f"no backbone is built from a {type(config).__name__}; there are {known}")
    return BACKBONES[type(config)](config)
