"""The round trip through all rooms of a map."""

from __future__ import annotations

from collections.abc import Sequence


def closed_tour(rooms: int, ways: Sequence[tuple[int, int]]) -> tuple[int, ...]:
    """Return rooms in the order of a round trip that visits all of them; its last step leads to the first room.

    Args:
        rooms: how many; all can be reached.
        ways: pairs (from, to), each in both directions.

    Returns:
        Each room once if the ways allow that; else the way there and back through a tree of rooms.
    """
    beyond: dict[int, list[int]] = {room: sorted(b for a, b in ways if a == room) for room in range(rooms)}
    return _ring([0], beyond) or _there_and_back(0, {0}, beyond)[:-1]


def _ring(path: list[int], beyond: dict[int, list[int]]) -> tuple[int, ...]:
    """Return `path` completed to a ring through all rooms; () if it cannot be."""
    if len(path) == len(beyond):
        return tuple(path) if path[0] in beyond[path[-1]] else ()
    for room in beyond[path[-1]]:
        if room not in path and (found := _ring([*path, room], beyond)):
            return found
    return ()


def _there_and_back(room: int, seen: set[int], beyond: dict[int, list[int]]) -> tuple[int, ...]:
    """Return the walk from a room through all unseen rooms beyond it, and back to it."""
    walk: tuple[int, ...] = (room,)
    for there in beyond[room]:
        if there not in seen:
            seen.add(there)
            walk += (*_there_and_back(there, seen, beyond), room)
    return walk
