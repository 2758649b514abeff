"""The tour through the rooms: what it promises of every episode, on hundreds of them, without pictures."""

from functools import lru_cache

import numpy as np
import pytest
from gymnasium.utils import seeding

from longdream.collectors.envs.room_map import NO_ROOM
from longdream.collectors.envs.room_maps import ROOM_MAPS, MapSource
from longdream.collectors.envs.room_walk import room_of, simulate
from longdream.collectors.envs.room_world import Track, follow
from longdream.collectors.envs.rooms import RoomsOptions, RoomsTeleportOptions, draw_world, spec
from longdream.collectors.envs.walker import Action, is_free
from longdream.collectors.policies.tour import rooms_again
from longdream.collectors.rollout import episode_seed, policy_generator
from longdream.tests.collectors.test_room_maps import TREE

EPISODES = 200
LENGTHS = {"two_rooms": (301, 200), "four_rooms": (501, 500), "ten_rooms": (1101, 900)}
TELEPORT_QUERY = {"two_rooms": 150, "four_rooms": 250, "ten_rooms": 550}

all_rooms = pytest.mark.parametrize("name", list(LENGTHS))


def walk_of(name, options, index):
    """Return an episode's world and its walk."""
    seed = episode_seed(11, index)
    world = draw_world(name, options, seeding.np_random(seed)[0])
    return world, simulate(name, options, world, policy_generator(seed))


@lru_cache
def walks(name, count=EPISODES):
    """Return (world, walk, rooms entered at every step) of some episodes."""
    made = [walk_of(name, RoomsOptions(), index) for index in range(count)]
    return [(world, walk, follow(world, Track.of(walk.walkers))["room_id"]) for world, walk in made]


@all_rooms
def test_every_episode_has_the_published_lengths(name):
    assert spec(name, RoomsOptions()) == LENGTHS[name]
    for _, walk, _ in walks(name):
        assert (len(walk.walkers), len(walk.actions)) == (sum(LENGTHS[name]), sum(LENGTHS[name]) - 1)


@all_rooms
def test_the_context_ends_in_the_room_it_began_in(name):
    context, _ = LENGTHS[name]
    for world, _, rooms in walks(name):
        assert rooms[0] == rooms[context - 1] == room_of(world)


@all_rooms
def test_every_room_is_seen_in_the_context_and_again_in_the_query(name):
    context, _ = LENGTHS[name]
    for world, _, rooms in walks(name):
        everywhere = set(range(len(world.rooms.boxes)))
        assert set(rooms[:context].tolist()) - {NO_ROOM} == everywhere
        assert set(rooms[context:].tolist()) - {NO_ROOM} == everywhere


@all_rooms
def test_the_query_goes_the_same_way_as_the_context(name):
    context, _ = LENGTHS[name]
    for _, _, rooms in walks(name):
        entered = [room[rooms_differ(room)] for room in (rooms[:context], rooms[context:])]
        visits = LENGTHS[name][1] // 100
        assert entered[1].tolist() == rooms_again(entered[0].tolist(), visits)


def rooms_differ(rooms):
    """Return the steps at which a room is entered (for the first one: step 0), (T) int."""
    inside = np.flatnonzero(rooms != NO_ROOM)
    return inside[np.concatenate([[True], np.diff(rooms[inside]) != 0])]


@all_rooms
def test_the_agent_is_in_a_room_whenever_a_visit_ends(name):
    for _, _, rooms in walks(name):
        assert (rooms[::100] != NO_ROOM).all()


@all_rooms
def test_it_goes_both_ways_round_and_starts_everywhere(name):
    starts = {room_of(world) for world, _, _ in walks(name)}
    assert len(starts) == len(walks(name)[0][0].rooms.boxes)
    if name != "two_rooms":
        count = len(starts)
        turns = {int(rooms[rooms_differ(rooms)[1]] - rooms[0]) % count for _, _, rooms in walks(name)}
        assert turns == {1, count - 1}


def test_the_agent_stays_clear_of_walls_and_uses_every_action():
    counts = np.zeros(len(Action), int)
    for world, walk, _ in walks("four_rooms"):
        assert all(is_free(walker.x, walker.y, world.rooms.solid, 14) for walker in walk.walkers)
        counts += np.bincount(walk.actions, minlength=len(Action))
    share = counts / counts.sum()
    assert 0.3 < share[Action.FORWARD] < 0.6
    assert (share > 0.004).all()


def test_it_wanders_over_the_whole_room():
    heat = np.zeros((14, 14))
    for _, walk, _ in walks("four_rooms"):
        np.add.at(heat, tuple(np.array([(walker.y, walker.x) for walker in walk.walkers]).astype(int).T), 1)
    room = heat[1:6, 1:6] / heat[1:6, 1:6].sum()
    assert room.min() > 0.005
    assert room.max() < 0.12


@pytest.mark.parametrize(("text", "rooms"), [(TREE, 5), (ROOM_MAPS["two_rooms"].text, 2)])
def test_a_map_of_ones_own_is_toured_as_well(monkeypatch, text, rooms):
    name = f"own_{rooms}"
    monkeypatch.setitem(ROOM_MAPS, name, MapSource("mine", text))
    context, _ = spec(name, RoomsOptions())
    for index in range(50):
        world, walk = walk_of(name, RoomsOptions(), index)
        entered = follow(world, Track.of(walk.walkers))["room_id"]
        assert entered[context - 1] == entered[0]
        for part in (entered[:context], entered[context:]):
            assert len(set(part.tolist()) - {NO_ROOM}) == rooms


@all_rooms
def test_a_teleport_repeats_the_context(name):
    options = RoomsTeleportOptions()
    context, query = spec(name, options)
    assert (context, query) == (LENGTHS[name][0], TELEPORT_QUERY[name])
    for index in range(EPISODES):
        world, (walkers, actions) = walk_of(name, options, index)
        begin = world.teleport_from
        assert len(walkers) == context + query == len(actions) + 1
        assert 0 <= begin <= context - query
        assert walkers[context:] == walkers[begin : begin + query]
        assert actions[context - 1] == Action.NOOP
        assert actions[context:] == actions[begin : begin + query - 1]


def test_teleports_come_from_everywhere_in_the_context():
    options = RoomsTeleportOptions(query=100)
    begins = [walk_of("two_rooms", options, index)[0].teleport_from for index in range(EPISODES)]
    assert np.histogram(begins, 4, (0, 202))[0].min() > EPISODES / 8
    longest = RoomsTeleportOptions(query=301)
    assert walk_of("two_rooms", longest, 0)[0].teleport_from == 0


def test_with_and_without_a_teleport_the_context_is_the_same():
    """For the same seed: so results of the two can be compared episode by episode."""
    with_it, without = (walk_of("two_rooms", options, 7)[1] for options in (RoomsTeleportOptions(), RoomsOptions()))
    assert with_it.walkers[:301] == without.walkers[:301]
    assert with_it.actions[:300] == without.actions[:300]
