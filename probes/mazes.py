"""What the Memory Maze benchmark asks, and where the agent is.

Source: Pasukonis et al., Evaluating Long-Term Memory in 3D Mazes (Memory Maze), 2022, section 5; S4WM, appendix C.

Axes: T steps, S cells across the maze, M objects.
"""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor

from .kinds import Classes, Directions, Vectors
from .task import Sides


class Walls(Classes):
    """Of every cell of the maze, whether one can walk there. The probe is told where the agent is."""

    name = "walls"
    about = "which cells of the maze are walls (told the pose)"
    per_step: ClassVar[tuple[str, ...]] = ("maze_layout", "agent_pos", "agent_dir")
    hidden = 1024
    classes = 2

    def added(self, sides: Sides) -> Tensor:
        """Return position, from -1 to 1 across the maze, and direction: (T 4)."""
        size = sides["maze_layout"].shape[-1]
        return torch.cat([sides["agent_pos"] / size * 2 - 1, sides["agent_dir"]], -1)

    def target(self, sides: Sides) -> Tensor:
        """Return (T S S), 1 = free."""
        return sides["maze_layout"].long()

    def cells(self, answer: Tensor) -> Tensor:
        """Return the maze."""
        return answer


class Objects(Directions):
    """Where the objects are, seen from the agent. The probe is told nothing else."""

    name = "objects"
    about = "the way to each object"
    per_step = ("targets_vec", "agent_pos", "agent_dir")

    def target(self, sides: Sides) -> Tensor:
        """Return (T M 2)."""
        return sides["targets_vec"]


class Position(Vectors):
    """Where the agent is on the map."""

    name = "position"
    about = "where the agent is"
    per_step = ("agent_pos",)

    def target(self, sides: Sides) -> Tensor:
        """Return (T 1 2)."""
        return sides["agent_pos"][:, None]

    def points(self, answer: Tensor, sides: Sides) -> Tensor:
        """Return the place."""
        return answer
