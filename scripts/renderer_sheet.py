"""Draws docs/renderers.png: the same steps of the same episodes, by the ray caster (above) and by MuJoCo (below).

python scripts/renderer_sheet.py
"""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
from PIL import Image

from longdream.collectors.catalogue import ENVIRONMENTS
from longdream.collectors.rollout import collect_episode, episode_seed
from longdream.datasets.frames.recipes import RECIPES
from longdream.datasets.frames.renderers import render

NAMES = ("four_rooms", "ten_rooms", "memory_maze_9x9")
FRAMES, ZOOM, GAP = 10, 2, 6  # across, times larger, pixels between environments
OUT = Path(__file__).parents[1] / "docs" / "renderers.png"


def strips(name: str) -> np.ndarray:
    """Return FRAMES frames of an episode by both renderers, one row each."""
    environment = ENVIRONMENTS[name]
    episode = collect_episode(environment, environment.options, episode_seed(0, 1))
    view = RECIPES[str(environment.recipe)](episode.extras, dataclasses.asdict(environment.options))
    poses = view.poses.steps(slice(None, None, len(episode) // FRAMES)).steps(slice(FRAMES))
    rows = [np.concatenate(list(render(view.scene, poses, renderer)), 1) for renderer in ("raycast", "mujoco")]
    return np.concatenate(rows).repeat(ZOOM, 0).repeat(ZOOM, 1)


def main() -> None:
    """Write the picture."""
    blocks = [np.pad(strips(name), ((0, GAP), (0, 0), (0, 0)), constant_values=255) for name in NAMES]
    Image.fromarray(np.concatenate(blocks)[:-GAP]).save(OUT, optimize=True)


if __name__ == "__main__":
    main()
