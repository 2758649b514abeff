"""The pictures on walls and floors, at every scale: level l is the picture averaged over squares of 2^l texels.

All levels of all textures lie in ONE flat array of packed texels (red | green << 8 | blue << 16), so that drawing a
pixel is one look-up at `base + row * width + column`, and shading its three channels two multiplications.

`textures.png` is from labmaze, style 01 (Copyright 2019 DeepMind Technologies, Apache License 2.0), made smaller by
scripts/make_textures.py.

Axes: K textures (walls, then floors), L levels.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from .scene import FLOORS, WALLS

FILE = Path(__file__).with_name("textures.png")
TEXELS = 128  # of a texture, both ways
LEVELS = TEXELS.bit_length()  # L, the last is one texel
FLOOR = len(WALLS)  # the first floor's place among the textures


class Textures(NamedTuple):
    """Texel (i, j) of level l of texture k is `texels[base[k, l] + i * (TEXELS >> l) + j]`; row 0 is the top."""

    texels: np.ndarray  # (N) int32
    base: np.ndarray  # (K L) int32


def pictures() -> np.ndarray:
    """Return the textures as they are, (K TEXELS TEXELS 3) uint8."""
    with Image.open(FILE) as strip:
        pixels = np.asarray(strip.convert("RGB"))
    return np.stack(np.split(pixels, len(WALLS) + len(FLOORS), axis=1))


@lru_cache
def textures() -> Textures:
    """Return all textures at all levels."""
    level = pictures().astype(np.int32)
    parts, base, start = [], np.empty((len(level), LEVELS), np.int32), 0
    for l in range(LEVELS):  # noqa: E741
        packed = pack(level).reshape(len(level), -1)
        base[:, l] = start + np.arange(len(level)) * packed.shape[1]
        parts.append(packed.ravel())
        start += packed.size
        if l < LEVELS - 1:
            k, n = level.shape[:2]
            level = (level.reshape(k, n // 2, 2, n // 2, 2, 3).sum((2, 4)) + 2) >> 2
    return Textures(np.concatenate(parts), base)


def pack(rgb: np.ndarray) -> np.ndarray:
    """Return colours (... 3), integers of 0 to 255, as one int32 each."""
    red, green, blue = np.moveaxis(rgb.astype(np.int32), -1, 0)
    return red | green << 8 | blue << 16
