"""Gymnasium ids of the environments.

Gymnasium 1.x reads no entry points, so an id is known once this module is imported (the one import with a side effect):
`gymnasium.make("longdream.collectors.registration:longdream/TwoKeys-v0")` does both in one line, in any process.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import gymnasium.envs.registration as gymnasium

from .envs.memory_maze_draw import RULES
from .envs.room_maps import ROOM_MAPS, camel_case


class Entry(NamedTuple):
    """The class behind an id, as a string: it is imported when one is made."""

    family: str  # "module:Class" in the folder envs
    arguments: dict[str, Any]


ENTRIES = {
    "longdream/DistractingMemory-v0": Entry("distracting_memory:DistractingMemory", {}),
    "longdream/DistractingMemory100-v0": Entry("distracting_memory:DistractingMemory", {"width": 100}),
    "longdream/DistractingMemory200-v0": Entry("distracting_memory:DistractingMemory", {"width": 200}),
    "longdream/DistractingMemory400-v0": Entry("distracting_memory:DistractingMemory", {"width": 400}),
    "longdream/MultiDoorsKeys-v0": Entry("multi_doors_keys:MultiDoorsKeys", {}),
    "longdream/TwoKeys-v0": Entry("multi_doors_keys:MultiDoorsKeys", {"keys": 2}),
    "longdream/ThreeKeys-v0": Entry("multi_doors_keys:MultiDoorsKeys", {"keys": 3}),
    "longdream/FiveKeys-v0": Entry("multi_doors_keys:MultiDoorsKeys", {"keys": 5}),
    "longdream/SevenKeys-v0": Entry("multi_doors_keys:MultiDoorsKeys", {"keys": 7}),
}
ENTRIES |= {f"longdream/{camel_case(name)}-v0": Entry("rooms:Rooms", {"rooms": name}) for name in ROOM_MAPS}
ENTRIES |= {
    f"longdream/{camel_case(name)}Teleport-v0": Entry("rooms:RoomsTeleport", {"rooms": name}) for name in ROOM_MAPS
}
ENTRIES |= {
    f"longdream/MemoryMaze{cells}x{cells}-v0": Entry("memory_maze:MemoryMaze", {"cells": cells}) for cells in RULES
}


def register() -> None:
    """Tell gymnasium the ids; a second call does nothing."""
    for name, (family, arguments) in ENTRIES.items():
        if name not in gymnasium.registry:
            gymnasium.register(name, entry_point=f"longdream.collectors.envs.{family}", kwargs=dict(arguments))


register()
