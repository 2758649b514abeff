"""What a renderer needs to know of an episode's world: walls, spheres, the camera, and where it stands at every step.

Frame of reference: positions are (x, y) in CELLS, y upward, and (0, 0) is the bottom left corner of the grid INCLUDING
its outer ring of wall. Grids are written as they are read, row 0 on top: the cell in row i and column j covers
x in [j, j + 1] and y in [H - 1 - i, H - i]; its centre is (j + 0.5, H - i - 0.5). A heading is an angle in radians,
counter-clockwise, 0 looks along +x. (Memory Maze's `agent_pos` and `targets_pos` leave the outer ring out: add 1.)

Axes: T time, H rows and W columns of the grid, M spheres, S pixels across a frame.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

# Textures of Memory Maze's style 01; a wall's or floor's texture is an index into these.
WALLS = ("blue", "cerise", "green_bright", "green", "purple", "red_bright", "red", "yellow")
FLOORS = ("blue", "blue_bright")
# Colours of Memory Maze's spheres, in [0, 1]: red, green, blue, purple, yellow, salmon.
SPHERE_COLORS = np.array(
    [[170, 38, 30], [99, 170, 88], [39, 140, 217], [93, 105, 199], [220, 193, 59], [220, 128, 107]], np.float32
) / np.float32(220)  # fmt: skip
BLANK = "blank"  # the renderer that draws nothing
SIZE_STEP = 8  # frames are a multiple of this many pixels wide


@dataclass(frozen=True)
class Camera:
    """The eye at a pose, and what it makes a picture of. Lengths in metres, angles in radians.

    Source: Memory Maze's walker (memory_maze 1.0.3, tasks.py) with its camera at the middle of the walker.
    """

    size: int = 64  # S, pixels, both ways
    fov: float = math.radians(80)  # from the bottom to the top of the frame
    height: float = 0.9  # above the floor
    pitch: float = -math.atan(0.1)  # -5.7 degrees: it looks down a little

    def __post_init__(self) -> None:
        if self.size < SIZE_STEP or self.size % SIZE_STEP:
            raise ValueError(f"size {self.size}: frames are a multiple of {SIZE_STEP} pixels wide")

    @property
    def focal(self) -> float:
        """Return the distance of the picture's plane, in pixels."""
        return self.size / 2 / math.tan(self.fov / 2)


@dataclass(frozen=True)
class Scene:
    """One episode's world as it is drawn; nothing in it moves.

    Raises:
        ValueError: if the outer ring of the grid is not all wall (a ray could escape), or shapes do not fit.
    """

    walls: np.ndarray  # (H W) bool or uint8, row 0 on top; nonzero is wall
    wall_texture: np.ndarray  # (H W) uint8, index into WALLS; read where there is wall
    floor_texture: np.ndarray  # (H W) uint8, index into FLOORS; read where there is none
    spheres: np.ndarray  # (M 2) float, centres (x, y) in cells; they lie ON the floor, so a half is seen
    colors: np.ndarray  # (M 3) float, RGB in [0, 1]
    camera: Camera = field(default_factory=Camera)
    cell: float = 2.0  # metres a cell
    wall_height: float = 1.5  # metres
    sphere_radius: float = 0.6  # metres
    ambient: float = 0.3  # light on everything
    diffuse: float = 0.6  # light of the lamp on the camera, times the cosine to the surface

    def __post_init__(self) -> None:
        ring = np.concatenate([self.walls[[0, -1]].ravel(), self.walls[:, [0, -1]].ravel()])
        if self.walls.ndim != 2 or not ring.all():
            raise ValueError(f"the outer ring of the {self.walls.shape} grid must be wall")
        for name in ("wall_texture", "floor_texture"):
            if getattr(self, name).shape != self.walls.shape:
                raise ValueError(f"{name} is {getattr(self, name).shape}, the walls are {self.walls.shape}")
        if self.spheres.shape[1:] != (2,) or self.colors.shape != (len(self.spheres), 3):
            raise ValueError(f"spheres {self.spheres.shape} and colors {self.colors.shape} are not (M 2) and (M 3)")


class Poses(NamedTuple):
    """Where the camera is at T steps, and what it sees of what changes."""

    x: np.ndarray  # (T) float64, cells
    y: np.ndarray  # (T) float64, cells
    heading: np.ndarray  # (T) float64, radians, counter-clockwise from +x
    visible: np.ndarray | None = None  # (T M) bool; None: every sphere, always
    border: np.ndarray | None = None  # (T 3) uint8, RGB of a frame around the picture; None: no border

    def steps(self, at: slice) -> Poses:
        """Return the poses of some steps."""
        visible, border = (None if values is None else values[at] for values in (self.visible, self.border))
        return Poses(self.x[at], self.y[at], self.heading[at], visible, border)


class View(NamedTuple):
    """All that decides the frames of (a part of) an episode: `renderers.render(*view, renderer)` draws them."""

    scene: Scene
    poses: Poses
