"""What can be asked of Two, Four and Ten Rooms: the map is the same in every episode, colours and objects are not.

Spheres of one room are alike but for place and colour, so they are named by their place: from the left to the right.

Axes: T steps, H rows and W columns of the map with its outer walls (row 0 is the top), S cells, M objects.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from ..datasets.frames.scene import SPHERE_COLORS, WALLS
from .kinds import NOT_ASKED, Classes, Directions, as_seen
from .mazes import Walls
from .task import Sides

POSE = ("agent_pos", "agent_dir")
OBJECTS = ("object_pos", "object_room")


class Layout(Walls):
    """Of every cell, whether one can walk there."""

    name = "layout"
    about = "which cells of the map are walls (told the pose)"
    per_step = POSE
    per_episode = ("maze_layout",)

    def added(self, sides: Sides) -> Tensor:
        """Return position, from -1 to 1 across the map both ways, and direction: (T 4)."""
        height, width = sides["maze_layout"].shape[-2:]
        size = sides["agent_pos"].new_tensor([width, height])
        return torch.cat([sides["agent_pos"] / size * 2 - 1, sides["agent_dir"]], -1)


class WallColors(Classes):
    """The colour of every wall."""

    name = "wall_colors"
    about = "the colour of every piece of wall"
    per_episode = ("wall_colors", "maze_layout")
    hidden = 1024
    classes = len(WALLS)

    def target(self, sides: Sides) -> Tensor:
        """Return (T H W), NOT_ASKED where there is no wall."""
        free = F.pad(sides["maze_layout"].flip(-2).bool(), (1, 1, 1, 1))  # all around are walls
        return sides["wall_colors"].long().masked_fill(free, NOT_ASKED)


class RoomObjects(Directions):
    """Where the spheres of all rooms are, seen from the agent."""

    name = "objects"
    about = "the way to each object"
    per_step = POSE
    per_episode = OBJECTS

    def target(self, sides: Sides) -> Tensor:
        """Return (T M 2)."""
        places = sides["object_pos"]
        return as_seen(places.take_along_dim(from_the_left(sides)[..., None], 1), sides)


class ObjectColors(Classes):
    """The colours of the spheres of all rooms."""

    name = "object_colors"
    about = "the colour of each object"
    per_episode = (*OBJECTS, "object_color")
    classes = len(SPHERE_COLORS)

    def target(self, sides: Sides) -> Tensor:
        """Return (T M)."""
        return sides["object_color"].long().take_along_dim(from_the_left(sides), 1)


def from_the_left(sides: Sides) -> Tensor:
    """Return the objects room by room, each room's from the left to the right, from the bottom to the top: (T M)."""
    x, y = sides["object_pos"].unbind(-1)
    order = y.argsort(dim=1, stable=True)
    for key in (x, sides["object_room"]):
        order = order.take_along_dim(key.take_along_dim(order, 1).argsort(dim=1, stable=True), 1)
    return order
