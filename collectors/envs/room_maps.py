"""The maps of the rooms environments, as text. To add one, write it into ROOM_MAPS: there is nothing else to do.

    `*`      wall
    letter   the floor of a room; a room is a rectangle of one letter, two cells wide or more
    `.`      a passage, one cell wide, bends allowed; its two ends lie beside two rooms

`collect --list` then shows `<name>` and `<name>_teleport`, and gymnasium knows `longdream/<Name>-v0`. The agent's tour
visits every room, starting from any of them: round a ring where the rooms form one, else along passages and back.

The maps of two, four and ten rooms are rings of rooms of 5 x 5 cells, 2 cells apart. Source: Deng et al., Facing Off
World Model Backbones (S4WM), 2023, for the number of rooms and the lengths of the phases (100 steps a room); sizes,
distances and the shape of the ring are not given there and are choices of ours.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

from ...datasets.episode import EpisodeSpec
from .map_parser import parse
from .room_map import Point, RoomMap
from .walker import SPEED

SPARE = 16  # steps that turning and detours may take on the way from one room to the next


@dataclass(frozen=True)
class MapSource:
    """One map as it is written."""

    about: str  # one line, for `collect --list`
    text: str
    query_visits: int | None = None  # rooms that the query goes to; None: as many as the context
    visit: int = 100  # steps for a room and the way to the next one


ROOM_MAPS = {
    "two_rooms": MapSource(
        about="two rooms with a passage; both are seen, then seen again",
        query_visits=2,
        text="""
            **************
            *AAAAA**BBBBB*
            *AAAAA**BBBBB*
            *AAAAA..BBBBB*
            *AAAAA**BBBBB*
            *AAAAA**BBBBB*
            **************
        """,
    ),
    "four_rooms": MapSource(
        about="four rooms in a ring; all are seen, then seen again in the same order",
        query_visits=5,
        text="""
            **************
            *AAAAA**BBBBB*
            *AAAAA**BBBBB*
            *AAAAA..BBBBB*
            *AAAAA**BBBBB*
            *AAAAA**BBBBB*
            ***.******.***
            ***.******.***
            *DDDDD**CCCCC*
            *DDDDD**CCCCC*
            *DDDDD..CCCCC*
            *DDDDD**CCCCC*
            *DDDDD**CCCCC*
            **************
        """,
    ),
    "ten_rooms": MapSource(
        about="ten rooms in a ring; all are seen, then seen again in the same order",
        query_visits=9,
        text="""
            ***********************************
            *AAAAA**BBBBB**CCCCC**DDDDD**EEEEE*
            *AAAAA**BBBBB**CCCCC**DDDDD**EEEEE*
            *AAAAA..BBBBB..CCCCC..DDDDD..EEEEE*
            *AAAAA**BBBBB**CCCCC**DDDDD**EEEEE*
            *AAAAA**BBBBB**CCCCC**DDDDD**EEEEE*
            ***.***************************.***
            ***.***************************.***
            *JJJJJ**IIIII**HHHHH**GGGGG**FFFFF*
            *JJJJJ**IIIII**HHHHH**GGGGG**FFFFF*
            *JJJJJ..IIIII..HHHHH..GGGGG..FFFFF*
            *JJJJJ**IIIII**HHHHH**GGGGG**FFFFF*
            *JJJJJ**IIIII**HHHHH**GGGGG**FFFFF*
            ***********************************
        """,
    ),
}


@lru_cache
def room_map(name: str) -> RoomMap:
    """Return a map, ready to use.

    Raises:
        ValueError: if there is none of that name, or it is broken: with the line, and what is wrong there.
    """
    if name not in ROOM_MAPS:
        raise ValueError(f"there are no rooms {name!r}; there are {', '.join(ROOM_MAPS)}")
    source = ROOM_MAPS[name]
    try:
        rooms = parse(source.text)
        _check_visit(rooms, source.visit)
    except ValueError as error:
        raise ValueError(f"room map {name!r}: {error}") from None
    return rooms


def spec_of(name: str) -> EpisodeSpec:
    """Return the lengths of an episode: the context ends in the room that it began in.

    Raises:
        ValueError: if there is no such map, or it is broken.
    """
    rooms, source = room_map(name), ROOM_MAPS[name]
    around = len(rooms.tour) + 1
    return EpisodeSpec(source.visit * around + 1, source.visit * (source.query_visits or around))


def way_steps(way: Sequence[Point]) -> float:
    """Return the steps of the straight way through some points, and SPARE more."""
    return sum(math.dist(a, b) for a, b in pairwise(way)) / SPEED + SPARE


def _check_visit(rooms: RoomMap, visit: int) -> None:
    """Refuse rooms so large, or ways so long, that the tour would fall behind."""
    for (here, there), way in rooms.ways.items():
        left, right, bottom, top = rooms.boxes[here]
        steps = math.ceil(math.dist((left, bottom), (right, top)) / SPEED + way_steps(way) + SPARE)
        if steps > visit:
            names = f"room {rooms.letters[here]} to room {rooms.letters[there]}"
            raise ValueError(f"through {names} may take {steps} steps, a visit has {visit}: set `visit`")


def camel_case(name: str) -> str:
    """Return `TwoRooms` for `two_rooms`."""
    return "".join(word.capitalize() for word in name.split("_"))
