"""What can be asked of the 2D environments.

Axes: T steps, N doors.
"""

from __future__ import annotations

from torch import Tensor

from ..datasets.frames.tiles import PALETTE
from .kinds import Classes
from .task import Sides


class Cue(Classes):
    """Distracting Memory: the colour that decides the reward."""

    name = "cue"
    about = "the colour of the cue"
    per_episode = ("target_color",)
    classes = len(PALETTE)

    def target(self, sides: Sides) -> Tensor:
        """Return (T 1)."""
        return sides["target_color"].long()[:, None]


class Doors(Classes):
    """Multi Doors Keys: which doors are open by now."""

    name = "doors"
    about = "which doors are open by now"
    per_step = ("door_state",)
    classes = 2

    def target(self, sides: Sides) -> Tensor:
        """Return (T N), 1 = open."""
        return sides["door_state"].long()
