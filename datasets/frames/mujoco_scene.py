"""A scene as a MuJoCo model: every run of equal wall faces is one plane, the floor a plane for each texture, balls.

World frame: metres, x and y as in `scene`, so a cell is `Scene.cell` long; the floor is at z = 0.

Axes: H rows and W columns of the grid, M spheres.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from PIL import Image

from .raycast import SKY_BOTTOM, SKY_TOP
from .scene import FLOORS, WALLS, Scene
from .textures import pictures

_SKY_TEXELS = 100


class _Face(NamedTuple):
    """A run of wall faces side by side with one texture; the cells are in the grid's rows and columns."""

    row: int  # of the first cell
    column: int
    length: int  # cells; the run goes on to the right or downward
    down: int  # the side of the cells that is seen: one of these two is 1 or -1
    right: int
    texture: int


def assets() -> dict[str, bytes]:
    """Return the textures as PNG files, by name."""
    files = {}
    for name, picture in zip([f"wall{k}" for k in range(len(WALLS))] + [f"floor{k}" for k in range(len(FLOORS))],
                             pictures(), strict=True):  # fmt: skip
        buffer = io.BytesIO()
        Image.fromarray(picture).save(buffer, "PNG")
        files[f"{name}.png"] = buffer.getvalue()
    return files


def xml(scene: Scene) -> str:
    """Return the model."""
    planes = [_wall(scene, face) for face in _faces(scene)] + list(_floors(scene))
    lengths = {(face.texture, face.length) for face in _faces(scene)}
    materials = [f'<material name="wall{k}_{n}" texture="wall{k}" texrepeat="{n} 1"/>' for k, n in sorted(lengths)]
    materials += [f'<material name="floor{k}" texture="floor{k}" texrepeat="1 1"/>' for k in range(len(FLOORS))]
    textures = [f'<texture name="{name[:-4]}" type="2d" file="{name}"/>' for name in assets()]
    size, top, bottom = scene.camera.size, _words(SKY_TOP), _words(SKY_BOTTOM)
    light, lamp = _words([scene.ambient] * 3), _words([scene.diffuse] * 3)
    return f"""<mujoco>
<visual>
<global offwidth="{size}" offheight="{size}" fovy="{np.degrees(scene.camera.fov)}"/>
<map znear="0.0005" zfar="100"/>
<quality shadowsize="0" offsamples="4" numquads="1"/>
<headlight ambient="{light}" diffuse="{lamp}" specular="0 0 0"/>
</visual>
<asset>
<texture type="skybox" builtin="gradient" rgb1="{top}" rgb2="{bottom}" width="{_SKY_TEXELS}" height="{_SKY_TEXELS}"/>
{"".join(textures)}{"".join(materials)}
</asset>
<worldbody>{"".join(planes)}{"".join(_spheres(scene))}</worldbody>
</mujoco>"""


def _faces(scene: Scene) -> Iterator[_Face]:
    walls = scene.walls != 0
    for down, right in ((0, 1), (0, -1), (1, 0), (-1, 0)):
        inside = np.zeros_like(walls)
        inside[1:-1, 1:-1] = ~walls[1:-1, 1:-1]
        seen = walls & np.roll(inside, (-down, -right), (0, 1))  # free where one looks from
        texture = np.where(seen, scene.wall_texture.astype(int), -1)
        lines = texture if down else texture.T  # a run lies in one line
        for index, line in enumerate(lines):
            for start, length in _runs(line):
                row, column = (index, start) if down else (start, index)
                yield _Face(row, column, length, down, right, int(line[start]))


def _runs(line: np.ndarray) -> Iterator[tuple[int, int]]:
    """Yield start and length of the runs of equal values that are 0 or more."""
    edges = np.flatnonzero(np.diff(line)) + 1
    for start, stop in zip([0, *edges], [*edges, len(line)], strict=True):
        if line[start] >= 0:
            yield int(start), int(stop - start)


def _wall(scene: Scene, face: _Face) -> str:
    """Return the plane of a run of faces. Its x axis goes right for who looks at it: no picture is mirrored."""
    along = (face.length - 1) / 2
    column = face.column + 0.5 + (along if face.down else 0) + face.right / 2
    row = face.row + 0.5 + (along if face.right else 0) + face.down / 2
    x, y = column * scene.cell, (len(scene.walls) - row) * scene.cell
    half = scene.wall_height / 2
    axis = f"{face.down} {face.right} 0"
    return (
        f'<geom type="plane" pos="{x} {y} {half}" size="{face.length * scene.cell / 2} {half} 1" '
        f'xyaxes="{axis} 0 0 1" material="wall{face.texture}_{face.length}"/>'
    )


def _floors(scene: Scene) -> Iterator[str]:
    """Yield a plane for each cell of floor."""
    half = scene.cell / 2
    for row, column in np.argwhere(scene.walls == 0):
        x, y = (column + 0.5) * scene.cell, (len(scene.walls) - row - 0.5) * scene.cell
        texture = scene.floor_texture[row, column]
        yield f'<geom type="plane" pos="{x} {y} 0" size="{half} {half} 1" material="floor{texture}"/>'


def _spheres(scene: Scene) -> Iterator[str]:
    for m, (place, color) in enumerate(zip(scene.spheres * scene.cell, scene.colors, strict=True)):
        look = f'size="{scene.sphere_radius}" rgba="{_words(color)} 1"'
        yield f'<geom type="sphere" name="sphere{m}" pos="{_words(place)} 0" {look}/>'


def _words(values: object) -> str:
    return " ".join(str(float(value)) for value in np.asarray(values))
