"""Makes datasets/frames/textures.png: the pictures on walls and floors, smaller.

They are style 01 of labmaze (https://github.com/google-deepmind/labmaze, Copyright 2019 DeepMind Technologies, Apache
License 2.0), each averaged from 1024 x 1024 down to TEXELS x TEXELS. Of a wall's only the top three quarters: in Memory
Maze a texture is a cell (2 m) high and a wall 1.5 m. They travel with this package so that frames are
the same bytes wherever they are drawn, whatever labmaze is installed, or none.

    python scripts/make_textures.py
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from labmaze.assets import get_floor_texture_paths, get_wall_texture_paths
from PIL import Image

from longdream.datasets.frames.scene import FLOORS, WALLS
from longdream.datasets.frames.textures import FILE, TEXELS

STYLE = "style_01"
WALL_PART = 0.75


def shrunk(path: str | Path, part: float = 1.0) -> np.ndarray:
    """Return the top `part` of a picture averaged over rectangles, (TEXELS TEXELS 3) uint8."""
    rgb = np.asarray(Image.open(path).convert("RGBA").convert("RGB"), np.uint64)
    high, wide = int(len(rgb) * part) // TEXELS, rgb.shape[1] // TEXELS
    sums = rgb[: TEXELS * high].reshape(TEXELS, high, TEXELS, wide, 3).sum((1, 3))
    return ((sums + high * wide // 2) // (high * wide)).astype(np.uint8)


def main() -> None:
    """Write the strip: walls, then floors."""
    walls, floors = get_wall_texture_paths(STYLE), get_floor_texture_paths(STYLE)
    strip = [shrunk(walls[name], WALL_PART) for name in WALLS] + [shrunk(floors[name]) for name in FLOORS]
    Image.fromarray(np.concatenate(strip, 1)).save(FILE, optimize=True)


if __name__ == "__main__":
    main()
