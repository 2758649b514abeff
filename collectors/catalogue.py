"""Every environment that can be collected, by name: one line each."""

from __future__ import annotations

from functools import partial

from .environment import Environment
from .envs import distracting_memory as dm
from .envs import multi_doors_keys as mdk
from .envs.replay import Family, replay
from .policies.distracting_memory import POLICY as DM_POLICY
from .policies.multi_doors_keys import POLICY as MDK_POLICY

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


ENVIRONMENTS: dict[str, Environment] = {
    "distracting_memory": _distracting_memory(width=100),
    "distracting_memory_200": _distracting_memory(width=200),
    "distracting_memory_400": _distracting_memory(width=400),
    "multi_doors_keys": _multi_doors_keys(keys=3),
    "multi_doors_keys_two": _multi_doors_keys(keys=2),
    "multi_doors_keys_three": _multi_doors_keys(keys=3),
    "multi_doors_keys_five": _multi_doors_keys(keys=5),
    "multi_doors_keys_seven": _multi_doors_keys(keys=7),
}
