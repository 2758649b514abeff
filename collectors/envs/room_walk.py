"""Computes whole episodes of the rooms at once: the fast path, bit-identical to stepping the environment.

The walk is simulated first, without pictures; then one call of the renderer draws them all.

Axes: T time.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from gymnasium.utils import seeding

from ...datasets.episode import NO_TELEPORT, Episode
from ..policies.errand import Visit, begin, decide
from ..policies.tour import draw_chances, draw_rooms, plan, rooms_again
from ..rollout import assemble, policy_generator
from .room_maps import ROOM_MAPS
from .room_world import Track, World, facts, follow
from .rooms import draw_world, pictures, spec
from .walker import Action, Walker, advance


class Walk(NamedTuple):
    """An episode, or a part of it, without pictures."""

    walkers: list[Walker]  # (T)
    actions: list[int]  # (T - 1), [t] is taken at walker t


def replay(name: str, options: Any, seed: int) -> Episode:
    """Return the episode that `rollout` would give, of the rooms `name`."""
    lengths = spec(name, options)
    world = draw_world(name, options, seeding.np_random(seed)[0])
    walk = simulate(name, options, world, policy_generator(seed))
    seen = len(walk.walkers) if world.teleport_from == NO_TELEPORT else lengths.context
    steps, whole = follow(world, Track.of(walk.walkers)), facts(world)
    image = pictures(options, {key: values[:seen] for key, values in steps.items()} | whole)
    if seen < lengths.length:
        image = np.concatenate([image, image[world.teleport_from :][: lengths.query]])
    rest = lengths.length - 1
    return assemble(
        lengths,
        len(Action),
        seed,
        image,
        np.array(walk.actions),
        np.zeros(rest, bool),
        np.zeros(rest + 1, np.float32),
        np.zeros(rest + 1, bool),
        steps | whole,
        world.teleport_from,
    )


def simulate(name: str, options: Any, world: World, rng: np.random.Generator) -> Walk:
    """Return the walk of an episode under the policy of its environment."""
    rooms, visit, (context, query) = world.rooms, ROOM_MAPS[name].visit, spec(name, options)
    route = draw_rooms(rooms, room_of(world), rng)
    seen = phase(world, plan(rooms, route, visit, visit), world.start, draw_chances(context - 1, rng))
    if world.teleport_from != NO_TELEPORT:
        again = slice(world.teleport_from, world.teleport_from + query)
        back = Walk(seen.walkers[again], [int(Action.NOOP), *seen.actions[again][: query - 1]])
    else:
        visits = plan(rooms, rooms_again(route, query // visit), visit, 0)
        onward = phase(world, visits, seen.walkers[-1], draw_chances(query, rng))
        back = onward._replace(walkers=onward.walkers[1:])
    return Walk(seen.walkers + back.walkers, seen.actions + back.actions)


def phase(world: World, visits: Sequence[Visit], walker: Walker, chances: Sequence[Sequence[float]]) -> Walk:
    """Return a walk of as many actions as there are `chances`."""
    solid, width = world.rooms.solid, world.rooms.walls.shape[1]
    errand, walkers, actions = begin(walker), [walker], []
    for t, chance in enumerate(chances):
        errand = decide(visits, errand, walker, t, chance)
        walker = advance(walker, errand.action, solid, width)
        actions.append(errand.action)
        walkers.append(walker)
    return Walk(walkers, actions)


def room_of(world: World) -> int:
    """Return the room that an episode begins in."""
    return int(world.rooms.room_id[::-1][int(world.start.y), int(world.start.x)])
