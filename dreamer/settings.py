"""What an environment asks of a run: how much is replayed, how far rows reach, what the policy reads. One table.

Source: Recall2Imagine's configurations; DreamerV3's where R2I says nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from ..worldmodels.base import PolicyInput

SMALL = "-tiny"  # how presets for CPUs are called
SMALL_RATIO, SMALL_ROW = 128, 64  # what such a preset replays, at most: steps for each step played, steps of a row
SMALL_BATCH = 1024  # steps of its batches, so that a step played is worth as many updates whatever the rows' length
CHANCE = 2_000  # environment steps that chance plays first
EPISODES, MOST = 60, 10_000  # or so many episodes where they are remembered: a few would make a policy; steps at most
SMALL_UNITS, SMALL_LAYERS, SMALL_RATE = 128, 2, 3e-4  # its actor and critic; few updates ask for large steps
SMALL_EVERY = 8  # they imagine from one step in so many
OPEN = 0.1  # entropy where one reward of about 1 decides an episode: no policy settles before that reward is known
AJAR = 0.01  # where some 50 rewards add up to 1: a policy that has settled is lost when the world model's code changes
WHOLE = 2  # a row this many episodes long holds a whole one, wherever it begins


@dataclass(frozen=True)
class Setting:
    """What a family of environments asks for."""

    model: str  # the preset
    train_ratio: int
    batch_size: int
    batch_length: int
    policy_input: PolicyInput = "output"
    entropy: float = 3e-4
    small_entropy: float | None = None  # a small preset's, where it is another
    units: int = 512  # of actor and critic
    layers: int = 2
    lr: float = 3e-5
    imagine_every: int = 1  # imagine from one step in so many
    prefill: int = CHANCE
    starts: Literal["anywhere", "episode"] = "anywhere"  # where rows begin
    remembers: bool = False  # what is asked for at the end may be shown at the beginning: no row of part of an episode


BSUITE = Setting("r2i-symbols-tiny", 1024, 16, 256, "hidden", small_entropy=OPEN)
POPGYM = Setting("r2i-symbols-tiny", 64, 4, 1024, "hidden", small_entropy=AJAR, remembers=True)
DMC = Setting("r2i-vector-tiny", 512, 4, 1024)
IMAGES = Setting("r2i-image-tiny", 64, 8, 256)
CUE = Setting("r2i-tiny", 64, 4, 1024, "full", remembers=True)  # of 40 x 40 pixels, as the next
KEYS = replace(IMAGES, model="r2i-tiny")

SETTINGS: dict[str, Setting] = {  # {the beginning of a name: ...}; the longest that fits holds
    "": DMC,
    "memory_len": replace(BSUITE, remembers=True),
    "discounting_chain": BSUITE,
    "popgym": POPGYM,
    "distracting_memory": CUE,
    "multi_doors_keys": KEYS,
    "memory_maze": Setting("r2i-memory-maze", 64, 4, 1024, "full", entropy=1e-3, units=1024, layers=4, lr=1e-4),
    "atari": Setting("r2i-atari", 1024, 4, 1024),
}


def setting_of(env: str, images: bool, model: str | None = None, episode: int = 0) -> Setting:
    """Return what an environment asks for, made small for a preset that is.

    Args:
        env: its name.
        images: whether it is seen as images.
        model: the preset that was asked for; None: the environment's own.
        episode: steps of its longest episode: a small preset's rows are to hold that too, where it is to be remembered.
    """
    best = max((name for name in SETTINGS if env.startswith(name)), key=len)
    found = IMAGES if images and best == "" else SETTINGS[best]
    found = replace(found, model=model or found.model)
    if not found.model.endswith(SMALL):
        return found
    length = min(found.batch_length, max(SMALL_ROW, WHOLE * episode) if found.remembers else SMALL_ROW)
    return replace(
        found,
        train_ratio=min(found.train_ratio, SMALL_RATIO),
        batch_size=SMALL_BATCH // length,
        batch_length=length,
        units=SMALL_UNITS,
        layers=SMALL_LAYERS,
        entropy=found.entropy if found.small_entropy is None else found.small_entropy,
        lr=SMALL_RATE,
        imagine_every=SMALL_EVERY,
        prefill=min(max(CHANCE, EPISODES * episode), MOST) if found.remembers else CHANCE,
        starts="episode" if found.remembers else "anywhere",
    )
