"""Every backbone, by the dataclass that configures it: one line each, and one more name in the union.

The contract tests run on every entry's defaults at a small width.
"""

from __future__ import annotations

from ..base import Backbone
from .gated import GatedConfig, GatedStack
from .hybrid import HybridConfig, HybridStack
from .s4 import S4Config, S4Stack
from .s5 import S5Config, S5Stack
from .transformer_xl import TransformerXL, TransformerXLConfig

# each has `width`, the D of g and h
BackboneConfig = S4Config | S5Config | TransformerXLConfig | GatedConfig | HybridConfig

BACKBONES: dict[type, type[Backbone]] = {
    S4Config: S4Stack,
    S5Config: S5Stack,
    TransformerXLConfig: TransformerXL,
    GatedConfig: GatedStack,
    HybridConfig: HybridStack,
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
