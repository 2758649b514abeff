"""The rooms as environments: their side arrays, their state, their options; and teleports, bit by bit."""

import dataclasses

import gymnasium
import numpy as np
import pytest

from longdream.collectors.catalogue import ENVIRONMENTS
from longdream.collectors.envs.room_map import NO_ROOM, SIDES
from longdream.collectors.envs.room_maps import ROOM_MAPS, camel_case, room_map
from longdream.collectors.envs.rooms import RoomsOptions, RoomsTeleportOptions, draw_world, spec
from longdream.collectors.rollout import collect_episode, episode_seed, make, rollout
from longdream.datasets.episode import NO_TELEPORT
from longdream.datasets.frames.scene import SPHERE_COLORS, WALLS
from longdream.tests.collectors.episodes import differences, taken

SMALL = 8  # pixels across

all_rooms = pytest.mark.parametrize("name", list(ROOM_MAPS))


def small(name, **changes):
    return dataclasses.replace(ENVIRONMENTS[name].options, size=SMALL, **changes)


@pytest.fixture
def env():
    """Four rooms at the start of an episode, in small pictures."""
    made = gymnasium.make("longdream/FourRooms-v0", size=SMALL).unwrapped
    made.reset(seed=3)
    return made


@all_rooms
def test_side_arrays_tell_what_is_where(name):
    episode = collect_episode(ENVIRONMENTS[name], small(name), 5)
    sides, rooms = episode.extras, room_map(name)
    layout, place = sides["maze_layout"], sides["agent_pos"]
    column, row = np.floor(place).astype(int).T
    assert layout[row, column].all()
    ids = rooms.room_id[1:-1, 1:-1][::-1]  # row 0 at the bottom, as in maze_layout
    assert np.array_equal(sides["room_id"], ids[row, column])
    assert (sides["room_id"] == NO_ROOM).any()
    spheres = np.floor(sides["object_pos"]).astype(int)
    assert np.array_equal(ids[spheres[:, 1], spheres[:, 0]], sides["object_room"])
    assert len(np.unique(spheres, axis=0)) == len(spheres) == 2 * len(rooms.boxes)
    assert sides["object_color"].max() < len(SPHERE_COLORS)
    assert sides["wall_colors"].shape == rooms.walls.shape
    assert sides["wall_colors"].max() < len(WALLS)


@all_rooms
def test_positions_and_directions_are_the_walkers(name):
    env = make(ENVIRONMENTS[name], small(name)).unwrapped
    _, info = env.reset(seed=1)
    for action in [1, 1, 4, 4, 1, 5, 2, 0]:
        walker = env.walker
        assert info["agent_pos"].tolist() == np.float32([walker.x - 1, walker.y - 1]).tolist()
        assert info["agent_dir"] == pytest.approx([np.cos(walker.heading), np.sin(walker.heading)])
        _, reward, terminated, truncated, info = env.step(action)
        assert (reward, terminated, truncated) == (0, False, False)


def test_worlds_are_a_function_of_the_generator_and_vary():
    worlds = [draw_world("ten_rooms", RoomsOptions(), np.random.default_rng(seed)) for seed in (0, 0, 1)]
    for field in ("wall_colors", "object_pos", "object_color", "start"):
        one, same, other = (getattr(world, field) for world in worlds)
        assert np.array_equal(one, same)
        assert not np.array_equal(one, other)


def test_a_room_has_several_wall_colors_and_each_of_its_sides_one():
    rooms, kinds = room_map("four_rooms"), []
    for seed in range(20):
        colors = draw_world("four_rooms", RoomsOptions(), np.random.default_rng(seed)).wall_colors
        sides = [np.unique(colors[rooms.faces == side]) for side in range(SIDES * 4)]
        assert all(len(side) == 1 for side in sides)
        kinds += [len({int(side[0]) for side in sides[SIDES * room :][:SIDES]}) for room in range(4)]
    assert np.mean(kinds) > 2.5


def test_a_state_can_be_kept_and_put_back_any_number_of_times(env):
    rng = np.random.default_rng(0)
    for action in rng.integers(6, size=40).tolist():
        env.step(action)
    kept, actions = env.get_state(), rng.integers(6, size=60).tolist()
    runs = []
    for _ in range(2):
        shown, facts = env.set_state(kept)
        runs.append([(shown, facts)] + [(step[0], step[-1]) for step in map(env.step, actions)])
    env.reset(seed=99)
    other = gymnasium.make("longdream/FourRooms-v0", size=SMALL).unwrapped
    shown, facts = other.set_state(kept)
    runs.append([(shown, facts)] + [(step[0], step[-1]) for step in map(other.step, actions)])
    for run in runs[1:]:
        for (image, info), (again, info_again) in zip(runs[0], run, strict=True):
            assert np.array_equal(image, again)
            assert all(np.array_equal(info[key], info_again[key]) for key in info)
    assert kept == kept._replace()
    assert len(kept.actions) == 40


def test_a_state_of_another_map_is_refused(env):
    other = gymnasium.make("longdream/TwoRooms-v0", size=SMALL).unwrapped
    with pytest.raises(ValueError, match="another map than two_rooms"):
        other.set_state(env.get_state())


@all_rooms
def test_after_a_teleport_the_frames_are_those_of_before_bit_by_bit(name):
    name = f"{name}_teleport"
    environment, options = ENVIRONMENTS[name], ENVIRONMENTS[name].options
    for index in range(2):
        episode = collect_episode(environment, options, episode_seed(2, index))
        context, query = spec(name.removesuffix("_teleport"), options)
        begin = episode.teleport_from
        assert 0 <= begin <= context - query
        assert np.array_equal(episode.obs[context:], episode.obs[begin : begin + query])
        for key in ("agent_pos", "agent_dir", "room_id"):
            assert np.array_equal(episode.extras[key][context:], episode.extras[key][begin : begin + query])
        assert np.array_equal(taken(episode)[context:], taken(episode)[begin : begin + query - 1])


def test_a_stepped_teleport_is_the_same_episode():
    """The environment itself jumps; the fast path copies."""
    for options in (ENVIRONMENTS["two_rooms_teleport"].options, small("two_rooms_teleport", query=301)):
        stepped = rollout(ENVIRONMENTS["two_rooms_teleport"], options, 4)
        begin, context = stepped.teleport_from, stepped.context
        assert np.array_equal(stepped.obs[context:], stepped.obs[begin:][: len(stepped) - context])
        assert differences(stepped, collect_episode(ENVIRONMENTS["two_rooms_teleport"], options, 4)) == []


def test_a_state_kept_before_the_teleport_teleports_to_the_same_place():
    env = gymnasium.make("longdream/TwoRoomsTeleport-v0", size=SMALL).unwrapped
    _, info = env.reset(seed=8)
    begin, seen = info["teleport_from"], []
    for _ in range(299):
        seen.append(env.walker)
        env.step(4)
    kept = env.get_state()
    for _ in range(2):
        env.set_state(kept)
        env.step(1)
        _, _, _, truncated, _ = env.step(1)  # step 301: whatever the action
        assert env.walker == seen[begin]
        assert not truncated


def test_without_a_teleport_none_is_recorded():
    assert collect_episode(ENVIRONMENTS["two_rooms"], small("two_rooms"), 0).teleport_from == NO_TELEPORT


def test_an_episode_is_truncated_at_its_end(env):
    env.actions = [0] * 999
    assert env.step(0)[2:4] == (False, True)


@pytest.mark.parametrize("size", [8, 16, 64, 96])
def test_pictures_of_any_multiple_of_eight(size):
    env = gymnasium.make("longdream/TwoRooms-v0", size=size)
    image, _ = env.reset(seed=0)
    assert image.shape == env.observation_space.shape == (size, size, 3)
    assert image.std() > 0
    env.close()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (RoomsOptions(size=60), "size 60"),
        (RoomsOptions(size=0), "size 0"),
        (RoomsOptions(renderer="unreal"), "there is no renderer 'unreal'"),
        (RoomsTeleportOptions(query=302), "query 302: 1 to 301"),
        (RoomsTeleportOptions(query=0), "query 0: 1 to 301"),
    ],
)
def test_bad_options_are_refused(options, said):
    with pytest.raises(ValueError, match=said):
        spec("two_rooms", options)


def test_an_unknown_action_is_refused(env):
    with pytest.raises(ValueError, match="no action 6; they are 0 to 5"):
        env.step(6)


@all_rooms
def test_every_map_has_its_ids(name):
    for suffix in ("", "Teleport"):
        env = gymnasium.make(f"longdream/{camel_case(name)}{suffix}-v0", size=SMALL)
        assert env.unwrapped.name == name
        assert env.action_space.n == 6
        env.close()


def test_the_map_from_above_shows_the_agent_move():
    env = gymnasium.make("longdream/FourRooms-v0", size=SMALL, render_mode="rgb_array")
    env.reset(seed=0)
    before = env.render()
    assert before.shape == (14 * 16, 14 * 16, 3)
    for _ in range(8):
        env.step(1)
    assert not np.array_equal(before, env.render())
    env.close()
