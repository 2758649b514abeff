"""Every environment that can be collected, by name: one line each."""

from __future__ import annotations

from functools import partial

from .environment import Environment, SplitRatio
from .envs import distracting_memory as dm
from .envs import memory_maze as mm
from .envs import multi_doors_keys as mdk
from .envs import rooms
from .envs.memory_maze_draw import RULES
from .envs.memory_maze_walk import replay as walk_maze
from .envs.replay import Family, replay
from .envs.room_maps import ROOM_MAPS, camel_case
from .envs.room_walk import replay as walk_rooms
from .policies.distracting_memory import POLICY as DM_POLICY
from .policies.memory_maze import POLICY as MM_POLICY
from .policies.multi_doors_keys import POLICY as MDK_POLICY
from .policies.tour import TELEPORTED_TOUR, TOUR

_DM = Family(dm.spec, dm.draw, dm.effects, DM_POLICY, len(dm.Action), noop=None)
_MDK = Family(mdk.spec, mdk.draw, mdk.effects, MDK_POLICY, len(mdk.Action), noop=int(mdk.Action.NOOP))


def _distracting_memory(width: int) -> Environment:
    about = f"a colour is seen, then coloured tiles, then chosen again; map {width} cells wide"
    options = dm.DistractingMemoryOptions(width=width)
    gym_id = "longdream/DistractingMemory-v0"
    return Environment(about, gym_id, options, dm.spec, dm.extras, DM_POLICY, None, fast=partial(replay, _DM))


def _multi_doors_keys(keys: int) -> Environment:
    about = f"{keys} keys and {keys} doors of four colours; all are seen, then keys are tried on doors"
    options = mdk.MultiDoorsKeysOptions(keys=keys)
    gym_id = "longdream/MultiDoorsKeys-v0"
    return Environment(
        about, gym_id, options, mdk.spec, mdk.extras, MDK_POLICY, _MDK.noop, fast=partial(replay, _MDK)
    )  # fmt: skip


def _rooms(name: str, teleport: bool) -> Environment:
    about, gym_id = ROOM_MAPS[name].about, f"longdream/{camel_case(name)}{'Teleport' if teleport else ''}-v0"
    return Environment(
        description=f"as {name}, but the query goes back to a moment of the context" if teleport else about,
        gym_id=gym_id,
        options=rooms.RoomsTeleportOptions() if teleport else rooms.RoomsOptions(),
        spec=partial(rooms.spec, name),
        extras=partial(rooms.extras, name),
        policy=TELEPORTED_TOUR if teleport else TOUR,
        noop=None,
        split=SplitRatio(28, 1, 1),
        fast=partial(walk_rooms, name),
        recipe="rooms",
    )


def _memory_maze(cells: int) -> Environment:
    return Environment(
        description=f"objects are looked for in a maze of {cells} x {cells} cells; where they are is to be known",
        gym_id=f"longdream/MemoryMaze{cells}x{cells}-v0",
        options=mm.MemoryMazeOptions(),
        spec=mm.spec,
        extras=partial(mm.extras, cells),
        policy=MM_POLICY,
        noop=None,
        split=SplitRatio(28, 1, 1),
        fast=partial(walk_maze, cells),
        recipe="memory_maze",
        undrawable=("mujoco",),  # the package's own frames
    )


ENVIRONMENTS: dict[str, Environment] = {
    "distracting_memory": _distracting_memory(width=100),
    "distracting_memory_200": _distracting_memory(width=200),
    "distracting_memory_400": _distracting_memory(width=400),
    "multi_doors_keys": _multi_doors_keys(keys=3),
    "multi_doors_keys_two": _multi_doors_keys(keys=2),
    "multi_doors_keys_three": _multi_doors_keys(keys=3),
    "multi_doors_keys_five": _multi_doors_keys(keys=5),
    "multi_doors_keys_seven": _multi_doors_keys(keys=7),
    **{name: _rooms(name, teleport=False) for name in ROOM_MAPS},
    **{f"{name}_teleport": _rooms(name, teleport=True) for name in ROOM_MAPS},
    **{f"memory_maze_{cells}x{cells}": _memory_maze(cells) for cells in RULES},
}
