"""The script of the rooms: a round trip, wandering about in each room for a while, and the same trip once more.

    context   each room once and the start room again, where it stays: at C the agent stands in the room it started from
    query     the same rooms in the same order, as many as the query has visits

Every visit takes the same number of steps (100), so the counts hold in every episode. In the teleport variants the
query begins with a no-op, at which the environment puts the agent back to where it stood at step `teleport_from`; then
it does what it did from there on.

Axes: T steps, K visits of a phase.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise

import gymnasium
import numpy as np

from ..envs.room_map import RoomMap
from ..envs.room_maps import way_steps
from ..envs.walker import Action
from .errand import CHANCES, Visit, begin, decide


def draw_rooms(rooms: RoomMap, start: int, rng: np.random.Generator) -> list[int]:
    """Return the rooms of a context, in order: the round trip from `start` to `start`, either way round."""
    tour = rooms.tour[:: 1 if rng.integers(2) else -1]
    first = tour.index(start)
    return [*tour[first:], *tour[:first], start]


def rooms_again(route: Sequence[int], visits: int) -> list[int]:
    """Return the rooms of a query: where the agent is, and the next `visits` of the round trip `route`."""
    around = len(route) - 1
    return [route[number % around] for number in range(visits + 1)]


def plan(rooms: RoomMap, order: Sequence[int], steps: int, first: int) -> list[Visit]:
    """Return the visits of a phase.

    Args:
        rooms: the map.
        order: (K) rooms.
        steps: of one visit.
        first: step at which the first visit ends.
    """
    visits = []
    for number, (here, there) in enumerate(pairwise(order)):
        way = rooms.ways[here, there]
        visits.append(Visit(rooms.boxes[here], first + number * steps, way, way_steps(way)))
    return [*visits, Visit(rooms.boxes[order[-1]], 0, (), 0.0)]


def draw_chances(steps: int, rng: np.random.Generator) -> list[list[float]]:
    """Return all chance of a phase, (T CHANCES) numbers in [0, 1)."""
    return rng.random((steps, CHANCES)).tolist()


class Tour:
    """The policy of the rooms."""

    def context(self, env: gymnasium.Env, rng: np.random.Generator) -> Iterator[int]:
        """Yield the context's actions."""
        here = env.unwrapped
        order = draw_rooms(here.rooms, here.route[0], rng)
        yield from _walk(here, plan(here.rooms, order, here.visit, here.visit), here.lengths.context - 1, rng)

    def query(self, env: gymnasium.Env, rng: np.random.Generator) -> Iterator[int]:
        """Yield the query's actions."""
        here = env.unwrapped
        order = rooms_again(here.route, here.lengths.query // here.visit)
        yield from _walk(here, plan(here.rooms, order, here.visit, 0), here.lengths.query, rng)


class TeleportedTour(Tour):
    """The policy of the teleport variants."""

    def query(self, env: gymnasium.Env, rng: np.random.Generator) -> Iterator[int]:
        """Yield the jump's no-op, and the actions of the context from `teleport_from` on."""
        here = env.unwrapped
        yield int(Action.NOOP)
        yield from here.actions[here.world.teleport_from :][: here.lengths.query - 1]


def _walk(env: gymnasium.Env, visits: Sequence[Visit], steps: int, rng: np.random.Generator) -> Iterator[int]:
    errand = begin(env.walker)
    for t, chance in enumerate(draw_chances(steps, rng)):
        errand = decide(visits, errand, env.walker, t, chance)
        yield errand.action


TOUR, TELEPORTED_TOUR = Tour(), TeleportedTour()
