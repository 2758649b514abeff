"""Every probe: one line each."""

from __future__ import annotations

from collections.abc import Sequence

from ..datasets.info import DatasetInfo
from .grids import Cue, Doors
from .mazes import Objects, Position, Walls
from .rooms import Layout, ObjectColors, RoomObjects, WallColors
from .task import Task

TASKS: list[Task] = [
    Walls(),
    Objects(),
    Layout(),
    WallColors(),
    RoomObjects(),
    ObjectColors(),
    Cue(),
    Doors(),
    Position(),
]


def fitting(info: DatasetInfo) -> list[Task]:
    """Return the tasks that a data set has the arrays for."""
    return [task for task in TASKS if task.fits(info)]


def chosen(names: Sequence[str], info: DatasetInfo) -> list[Task]:
    """Return the tasks of these names; without names, all that fit.

    Raises:
        ValueError: the data set fits no task of a name, or none at all; the message names those that it fits.
    """
    known = {task.name: task for task in fitting(info)}
    if not known:
        raise ValueError(f"{info.environment} has no array that a probe could ask for; it has {array_names(info)}")
    for name in names:
        if name not in known:
            tasks = ", ".join(known)
            raise ValueError(f"--task {name}: {info.environment} fits {tasks}; its arrays are {array_names(info)}")
    return [known[name] for name in dict.fromkeys(names or known)]


def array_names(info: DatasetInfo) -> str:
    """Return the names of a data set's arrays, for a message."""
    return ", ".join(info.arrays)
