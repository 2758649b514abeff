"""The side arrays of Memory Maze, under the names and in the conventions of its "ExtraObs" and its offline data.

Positions are (x, y) in cells, y upward, (0, 0) the bottom left corner inside the outer wall; `maze_layout` is indexed
[int(y), int(x)]. `targets_vec` is what it takes from the agent to an object: (to the right, ahead), in cells. Arrays
that never change are there at every step too, as in the official files; two more tell how the maze looks.

Axes: T time, S cells across a maze without its outer wall, M objects.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ...datasets.episode import ArraySpec
from ...datasets.frames.scene import SPHERE_COLORS
from .memory_maze_draw import RULES, Maze
from .memory_maze_world import Moment


def extras_of(cells: int) -> dict[str, ArraySpec]:
    """Return the specification for mazes of a size S."""
    objects, outer = RULES[cells].objects, (cells + 2, cells + 2)
    return {
        "maze_layout": ArraySpec("uint8", (cells, cells)),  # 1 = free, row 0 is the bottom
        "agent_pos": ArraySpec("float32", (2,)),
        "agent_dir": ArraySpec("float32", (2,)),  # unit vector
        "targets_pos": ArraySpec("float32", (objects, 2)),
        "targets_vec": ArraySpec("float32", (objects, 2)),
        "target_pos": ArraySpec("float32", (2,)),  # of the object that is asked for
        "target_vec": ArraySpec("float32", (2,)),
        "target_color": ArraySpec("float32", (3,)),  # RGB in [0, 1]
        "wall_colors": ArraySpec("uint8", outer, per_step=False),  # row 0 on top, index into scene.WALLS
        "floor_colors": ArraySpec("uint8", outer, per_step=False),  # row 0 on top, index into scene.FLOORS
    }


def facts(maze: Maze) -> dict[str, np.ndarray]:
    """Return the side arrays that hold for the whole episode, new ones each time."""
    return {"wall_colors": maze.wall_texture.copy(), "floor_colors": maze.floor_texture.copy()}


def follow(maze: Maze, moments: Sequence[Moment]) -> dict[str, np.ndarray]:
    """Return the side arrays of every step, with their leading axis T."""
    x, y, heading = np.array([moment.walker[:3] for moment in moments]).T
    target = np.array([moment.target for moment in moments])
    at, ahead = np.stack([x - 1, y - 1], 1), np.stack([np.cos(heading), np.sin(heading)], 1)  # (T 2)
    offset = maze.objects[None] - at[:, None]  # (T M 2)
    right = np.stack([ahead[:, 1], -ahead[:, 0]], 1)
    vectors = np.stack([(offset * right[:, None]).sum(2), (offset * ahead[:, None]).sum(2)], 2)
    step = np.arange(len(target))
    sides = {
        "maze_layout": np.repeat(maze.free[None], len(step), 0),
        "agent_pos": at,
        "agent_dir": ahead,
        "targets_pos": np.repeat(maze.objects[None], len(step), 0),
        "targets_vec": vectors,
        "target_pos": maze.objects[target],
        "target_vec": vectors[step, target],
        "target_color": SPHERE_COLORS[target],
    }
    return {name: array if name == "maze_layout" else array.astype(np.float32) for name, array in sides.items()}
