"""A small world to draw, with everything in it: rooms, pillars, both floors, spheres before and behind each other.

python -m longdream.tests.datasets.scene_toys        # draws golden_frames.png anew; look at it before you commit it
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from longdream.datasets.frames.renderers import render
from longdream.datasets.frames.scene import SPHERE_COLORS, WALLS, Camera, Poses, Scene, View

MAP = """
############
#    #     #
#    #     #
#          #
#    #  #  #
#    #     #
## ###     #
#     ######
# #  #     #
#          #
#    #     #
############
"""
GOLDEN = Path(__file__).with_name("golden_frames.png")
GOLDEN_POSES = 16


def toy_scene(seed: int = 0, size: int = 64, spheres: int = 7) -> Scene:
    """Return the world of MAP in colours of chance."""
    rng = np.random.default_rng(seed)
    walls = np.array([[token == "#" for token in line] for line in MAP.strip().splitlines()])
    free = np.argwhere(~walls)
    row, column = free[rng.choice(len(free), spheres, replace=False)].T
    centres = np.stack([column + 0.5, len(walls) - row - 0.5], 1) + rng.uniform(-0.2, 0.2, (spheres, 2))
    return Scene(
        walls,
        rng.integers(len(WALLS), size=walls.shape).astype(np.uint8),
        (np.indices(walls.shape).sum(0) // 5 % 2).astype(np.uint8),
        centres,
        SPHERE_COLORS[rng.integers(len(SPHERE_COLORS), size=spheres)],
        Camera(size=size),
    )


def toy_poses(scene: Scene, steps: int, seed: int = 0) -> Poses:
    """Return poses anywhere on the free cells, also among and over the spheres."""
    rng = np.random.default_rng(seed)
    free = np.argwhere(scene.walls == 0)
    row, column = free[rng.integers(len(free), size=steps)].T
    x, y = column + rng.uniform(0.1, 0.9, steps), len(scene.walls) - 1 - row + rng.uniform(0.1, 0.9, steps)
    return Poses(x, y, rng.uniform(-7, 7, steps))


def toy_view(seed: int = 0, steps: int = 50, size: int = 64, spheres: int = 7) -> View:
    """Return a world and poses in it, with spheres that come and go and a border of chance."""
    scene, rng = toy_scene(seed, size, spheres), np.random.default_rng(seed + 100)
    visible, border = rng.random((steps, spheres)) < 0.8, rng.integers(0, 256, (steps, 3)).astype(np.uint8)
    return View(scene, toy_poses(scene, steps, seed)._replace(visible=visible, border=border))


def golden_view() -> View:
    """Return what golden_frames.png shows."""
    scene = toy_scene(3)
    return View(scene, toy_poses(scene, GOLDEN_POSES, 8))


def read_golden() -> np.ndarray:
    """Return the frames of golden_frames.png, (16 S S 3) uint8."""
    with Image.open(GOLDEN) as picture:
        pixels = np.asarray(picture)
    rows = np.split(pixels, 2)
    return np.stack([frame for row in rows for frame in np.split(row, GOLDEN_POSES // 2, axis=1)])


if __name__ == "__main__":
    frames = render(*golden_view())
    half = GOLDEN_POSES // 2
    sheet = np.concatenate([np.concatenate(list(frames[i : i + half]), 1) for i in (0, half)])
    Image.fromarray(sheet).save(GOLDEN, optimize=True)
