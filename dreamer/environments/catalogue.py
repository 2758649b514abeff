"""Every environment that an agent can learn in, by name: one line each.

What makes one is in another file: a worker imports that file, and not all that is needed to list them.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from ...collectors.catalogue import ENVIRONMENTS
from ...collectors.envs import bsuite_discounting_chain as chain
from ...collectors.envs import bsuite_memory_len as memory
from ...collectors.envs import cartpole_swingup
from ...collectors.envs.memory_maze_draw import RULES
from . import atari, card_games, dm_control_tasks
from .cartpole import STEPS as CARTPOLE_STEPS
from .cartpole import make_cartpole
from .collected import make_collected
from .environment import NoOptions, OnlineEnvironment

ANY_GAME = "atari_GAME"  # how the 26 of them are listed


def _won(rewards: np.ndarray) -> bool:
    """Say whether more was won than lost."""
    return float(rewards.sum()) > 0


def _highest(rewards: np.ndarray) -> bool:
    """Say whether the chain with the bonus was chosen."""
    return float(rewards.sum()) > chain.REWARD + chain.BONUS / 2


def _always(steps: int) -> Callable[[Any], int]:
    """Return a limit that no option changes."""
    return lambda options: steps


def _of_collect(name: str) -> OnlineEnvironment:
    """Return an environment of `collect`, acted in freely; an episode is as long as a collected one."""
    entry, is_cue = ENVIRONMENTS[name], name.startswith("distracting_memory")
    return OnlineEnvironment(
        entry.description,
        partial(make_collected, name),
        entry.options,
        lambda options: entry.spec(options).length - 1,
        slow=entry.recipe is not None,  # those in 3D
        success=_won if is_cue else None,
        rewarded=is_cue,
        sides=entry.extras,
    )


def _maze(cells: int) -> OnlineEnvironment:
    name = f"memory_maze_{cells}x{cells}"
    about = f"objects are to be found, by colour, in a maze of {cells} x {cells} cells; reward 1 for each"
    entry, steps = ENVIRONMENTS[name], _always(RULES[cells].steps)
    return OnlineEnvironment(
        about, partial(make_collected, name), entry.options, steps, slow=True, sides=entry.extras
    )  # fmt: skip


def _card_game(name: str) -> OnlineEnvironment:
    game = card_games.GAMES[name]
    make_game = partial(card_games.make_card_game, name)
    return OnlineEnvironment(game.about, make_game, NoOptions(), _always(game.steps), extra="popgym")


def _control(name: str, pixels: bool) -> OnlineEnvironment:
    return OnlineEnvironment(
        f"dm_control's {name.replace('_', ' ')}: {dm_control_tasks.TASKS[name]}{', from pictures' if pixels else ''}",
        partial(dm_control_tasks.ControlTask, name, pixels),
        NoOptions(),
        _always(dm_control_tasks.STEPS),
        slow=True,
        extra="dmc",
    )


def _atari(game: str) -> OnlineEnvironment:
    make_game = partial(atari.make_atari, game)
    about = f"the Atari game {game.replace('_', ' ')}, under the rules of Atari 100k"
    return OnlineEnvironment(about, make_game, NoOptions(), _always(atari.STEPS), slow=True, extra="atari")


def _balance(about: str, pixels: bool, swing_up: bool, steps: int) -> OnlineEnvironment:
    about += ", from pictures" if pixels else ""
    return OnlineEnvironment(about, partial(make_cartpole, pixels, swing_up), NoOptions(), _always(steps))


CARTPOLE, SWING_UP = "gymnasium's CartPole-v1: balance a pole", "swing a hanging pole up, by a force of any size"

ONLINE: dict[str, OnlineEnvironment] = {
    "memory_len": OnlineEnvironment(
        "bsuite: a bit seen at the start is asked for at the end",
        memory.MemoryLen,
        memory.MemoryLenOptions(),
        memory.steps,
        success=_won,
    ),
    "discounting_chain": OnlineEnvironment(
        "bsuite: the first action chooses a reward that comes up to 100 steps later",
        chain.DiscountingChain,
        chain.DiscountingChainOptions(),
        _always(chain.LENGTH),
        success=_highest,
    ),
    "cartpole": _balance(CARTPOLE, False, False, CARTPOLE_STEPS),
    "cartpole_pixels": _balance(CARTPOLE, True, False, CARTPOLE_STEPS),
    "cartpole_swingup": _balance(SWING_UP, False, True, cartpole_swingup.STEPS),
    "cartpole_swingup_pixels": _balance(SWING_UP, True, True, cartpole_swingup.STEPS),
    **{f"memory_maze_{cells}x{cells}": _maze(cells) for cells in RULES},
    **{name: _of_collect(name) for name in ENVIRONMENTS if not name.startswith("memory_maze")},
    **{f"popgym_{name}": _card_game(name) for name in card_games.GAMES},
    **{f"dmc_{name}": _control(name, False) for name in dm_control_tasks.TASKS},
    **{f"dmc_{name}_pixels": _control(name, True) for name in dm_control_tasks.TASKS},
    **{f"atari_{game}": _atari(game) for game in atari.GAMES},
}


def find_online(name: str) -> OnlineEnvironment:
    """Return the environment of that name.

    Raises:
        ValueError: naming those that are spelled alike, if there is none.
    """
    if name in ONLINE:
        return ONLINE[name]
    near = difflib.get_close_matches(name, ONLINE, n=3)
    meant = f"perhaps you meant {' or '.join(map(repr, near))}; " if near else ""
    others = [known for known in ONLINE if not known.startswith("atari_")]
    raise ValueError(f"there is no environment {name!r}; {meant}there are {', '.join(others)}, {ANY_GAME}")


def list_online() -> str:
    """Return a table of all environments, with the steps of an episode and the extra that pip installs for them."""
    rows = [("environment", "steps", "extra", "")]
    for name, entry in ONLINE.items():
        if not name.startswith("atari_"):
            about = entry.description if entry.rewarded else f"{entry.description} (no reward: for world models)"
            rows.append((name, str(entry.max_steps(entry.options)), entry.extra, about))
    rows.append((ANY_GAME, str(atari.STEPS), "atari", f"a game of Atari 100k: {', '.join(atari.GAMES)}"))
    width = max(len(row[0]) for row in rows)
    return "\n".join(f"{a:<{width}}  {b:>6}  {c:<6}  {d}".rstrip() for a, b, c, d in rows)
