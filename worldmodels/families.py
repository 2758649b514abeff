"""Every family of world models, by the dataclass that configures it: one line each, and one more name in the union."""

from __future__ import annotations

from typing import NamedTuple

from .base import WorldModel
from .parallel import ParallelConfig, ParallelWorldModel
from .rssm import RSSM, RSSMConfig

WorldModelConfig = ParallelConfig | RSSMConfig


class Family(NamedTuple):
    """What a checkpoint's family name stands for."""

    config: type
    model: type[WorldModel]


FAMILIES: dict[str, Family] = {
    "parallel": Family(ParallelConfig, ParallelWorldModel),
    "rssm": Family(RSSMConfig, RSSM),
}


def family_of(config: WorldModelConfig) -> str:
    """Return the name under which a configuration's family is saved.

    Raises:
        ValueError: no world model is built from it.
    """
    for name, family in FAMILIES.items():
        if type(config) is family.config:
            return name
    raise ValueError(f"no world model is built from a {type(config).__name__}")


def build(config: WorldModelConfig) -> WorldModel:
    """Return a new world model with the current torch seed's weights."""
    return FAMILIES[family_of(config)].model(config)
