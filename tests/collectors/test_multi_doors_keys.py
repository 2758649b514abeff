"""Multi Doors Keys: its rules, and the lengths of its script."""

from itertools import permutations, product

import numpy as np
import pytest

from longdream.collectors.catalogue import ENVIRONMENTS
from longdream.collectors.envs.grid import DOWN, RIGHT, UP, Pose
from longdream.collectors.envs.multi_doors_keys import (
    DOOR_ROW,
    GAP_ROW,
    KEY_ROW,
    MIDDLE,
    SPECS,
    Action,
    MultiDoorsKeys,
    MultiDoorsKeysOptions,
    column_of,
    draw,
    spec,
)
from longdream.collectors.policies import multi_doors_keys as script
from longdream.collectors.rollout import collect_episode, episode_seed, rollout
from longdream.datasets.episode import EpisodeSpec
from longdream.datasets.frames.tiles import KEY, LOCKED, PALETTE
from longdream.tests.collectors.episodes import differences, taken
from longdream.tests.collectors.worst_tour import longest_context, longest_query

ENVIRONMENT = ENVIRONMENTS["multi_doors_keys"]


@pytest.mark.parametrize("keys", list(SPECS))
def test_the_longest_context_just_fits(keys):
    assert longest_context(keys) == SPECS[keys].context - 1


def test_published_contexts():
    assert [longest_context(keys) for keys in (3, 5, 7)] == [75, 169, 295]


@pytest.mark.parametrize("keys", [2, 3, 4, 6])
def test_the_longest_query_just_fits(keys):
    assert longest_query(keys) == SPECS[keys].query


@pytest.mark.parametrize("keys", [5, 7])
def test_published_queries_are_shorter_than_the_longest(keys):
    """So the policy must draw again; it does."""
    assert longest_query(keys) > SPECS[keys].query


@pytest.mark.parametrize("keys", [2, 3])
def test_the_scripts_contexts_over_all_orders(keys):
    """The policy's own tours, every order of them, against the oracle."""
    start = Pose(column_of(keys // 2), MIDDLE, RIGHT)
    lengths = [
        len(script.tour(start, [*map(script.look_at_key, order), *map(script.try_door, doors)]))
        for order, doors in product(permutations(range(keys)), repeat=2)
    ]
    assert max(lengths) == longest_context(keys)


def test_the_scripts_queries_over_all_orders_of_two_keys():
    visits = [
        [script.take_key(first), *map(script.try_door, d), script.take_key(1 - first), *map(script.try_door, e + last)]
        for first in (0, 1)
        for d, e, last in product(permutations(range(2)), repeat=3)
    ]
    starts = [Pose(column_of(place), DOOR_ROW + 1, UP) for place in (0, 1)]
    assert max(len(script.tour(start, visit)) for start in starts for visit in visits) == longest_query(2)


def test_a_query_that_is_too_long_is_drawn_again(monkeypatch):
    """With room for the shorter half of all queries, all of them fit, and orders still vary."""
    monkeypatch.setitem(SPECS, 5, EpisodeSpec(170, 285))
    rng = np.random.default_rng(0)
    layout = draw(MultiDoorsKeysOptions(5), rng)
    start = Pose(column_of(2), DOOR_ROW + 1, UP)
    lengths = [len(script.query(layout, start, rng)) for _ in range(20)]
    assert max(lengths) <= 285
    assert len(set(lengths)) > 5


@pytest.mark.parametrize("keys", list(SPECS))
def test_the_fast_path_gives_the_same_bytes_with_any_number_of_keys(keys):
    options = MultiDoorsKeysOptions(keys)
    for index in range(2):
        seed = episode_seed(1, index)
        assert differences(rollout(ENVIRONMENT, options, seed), collect_episode(ENVIRONMENT, options, seed)) == []


@pytest.mark.parametrize("keys", [0, 1, 8])
def test_bad_numbers_of_keys_are_refused(keys):
    with pytest.raises(ValueError, match=f"keys {keys}: 2 to 7"):
        spec(MultiDoorsKeysOptions(keys))
    with pytest.raises(ValueError, match=f"keys {keys}: 2 to 7"):
        MultiDoorsKeys(keys)


def test_the_world():
    """The keys are the doors' colours in another order; colours and orders vary, and doors share colours at times."""
    rng = np.random.default_rng(0)
    layouts = [draw(MultiDoorsKeysOptions(3), rng) for _ in range(100)]
    for layout in layouts:
        places = [column_of(place) for place in range(3)]
        assert layout.ids[DOOR_ROW, places].tolist() == (LOCKED + layout.door_color).tolist()
        assert layout.ids[KEY_ROW, places].tolist() == (KEY + layout.key_color).tolist()
        assert sorted(layout.door_color) == sorted(layout.key_color)
    assert {int(color) for layout in layouts for color in layout.door_color} == set(range(len(PALETTE)))
    assert any(len(set(layout.door_color.tolist())) < 3 for layout in layouts)
    assert any(layout.door_color.tolist() != layout.key_color.tolist() for layout in layouts)


@pytest.mark.parametrize("keys", [2, 3, 5])
def test_the_context_changes_nothing_and_shows_all(keys):
    for index in range(5):
        episode = collect_episode(ENVIRONMENT, MultiDoorsKeysOptions(keys), episode_seed(2, index))
        before = slice(0, episode.context)
        assert not episode.extras["door_state"][before].any()
        assert not episode.extras["inventory"][before].any()
        assert not (taken(episode)[: episode.context - 1] == Action.PICKUP).any()
        places = {tuple(place) for place in episode.extras["agent_pos"][before].tolist()}
        for place in range(keys):  # in cells, y upward: a gap is next to a key, row 4 next to a door
            x = column_of(place) - 0.5
            assert (x, 11 - 1.5 - GAP_ROW) in places
            assert (x, 11 - 1.5 - (DOOR_ROW + 1)) in places


@pytest.mark.parametrize("keys", [3, 7])
def test_the_query_takes_every_key_and_opens_every_door(keys):
    """There are as many keys as doors of every colour, so all doors are open at the end and no key is left."""
    for index in range(5):
        episode = collect_episode(ENVIRONMENT, MultiDoorsKeysOptions(keys), episode_seed(4, index))
        assert (taken(episode) == Action.PICKUP).sum() == keys
        assert (taken(episode) == Action.TOGGLE).sum() == keys + 3 * keys
        state, inventory = episode.extras["door_state"], episode.extras["inventory"]
        assert state[-1].all()
        assert not inventory[-1].any()
        assert inventory.sum(-1).max() <= keys
        assert (np.diff(state.astype(int), axis=0) >= 0).all()
        assert not episode.reward.any()
        assert not episode.terminal.any()


class World:
    """A map with chosen colours and an agent that is put where it is needed."""

    def __init__(self, doors, keys):
        self.env = MultiDoorsKeys(len(doors))
        drawn = self.env.draw

        def chosen(rng):
            layout = drawn(rng)
            columns = [column_of(place) for place in range(len(doors))]
            layout.ids[DOOR_ROW, columns] = LOCKED + np.array(doors)
            layout.ids[KEY_ROW, columns] = KEY + np.array(keys)
            layout.door_color[:], layout.key_color[:] = doors, keys
            return layout

        self.env.draw = chosen
        self.env.reset(seed=0)

    def act(self, place, action):
        """Act on key (PICKUP) or door (TOGGLE) number `place`; return (open doors, keys held)."""
        self.env.agent_pos = (column_of(place), GAP_ROW if action == Action.PICKUP else DOOR_ROW + 1)
        self.env.agent_dir = DOWN if action == Action.PICKUP else UP
        _, reward, terminated, _, info = self.env.step(action)
        assert (reward, terminated) == (0.0, False)
        return info["door_state"].tolist(), info["inventory"].tolist()


def test_a_key_opens_a_door_of_its_colour_and_is_consumed():
    world = World(doors=[0, 1], keys=[1, 0])
    assert world.act(0, Action.TOGGLE) == ([0, 0], [0, 0, 0, 0])  # no key
    assert world.act(0, Action.PICKUP) == ([0, 0], [0, 1, 0, 0])
    assert world.act(0, Action.PICKUP) == ([0, 0], [0, 1, 0, 0])  # it is gone
    assert world.act(0, Action.TOGGLE) == ([0, 0], [0, 1, 0, 0])  # another colour
    assert world.act(1, Action.TOGGLE) == ([0, 1], [0, 0, 0, 0])


def test_several_keys_are_held_and_two_doors_of_one_colour_take_one_each():
    world = World(doors=[2, 2, 3], keys=[2, 3, 2])
    for place in range(3):
        world.act(place, Action.PICKUP)
    assert world.env.inventory.tolist() == [0, 0, 2, 1]
    assert world.act(0, Action.TOGGLE) == ([1, 0, 0], [0, 0, 1, 1])
    assert world.act(0, Action.TOGGLE) == ([1, 0, 0], [0, 0, 1, 1])  # open: stays open, costs nothing
    assert world.act(1, Action.TOGGLE) == ([1, 1, 0], [0, 0, 0, 1])
    assert world.act(2, Action.TOGGLE) == ([1, 1, 1], [0, 0, 0, 0])


def test_doors_and_keys_block_the_way_until_open_or_taken():
    world = World(doors=[0, 1], keys=[0, 1])
    env = world.env
    for action, row in ((Action.PICKUP, KEY_ROW), (Action.TOGGLE, DOOR_ROW)):
        env.agent_pos = (column_of(0), GAP_ROW if action == Action.PICKUP else DOOR_ROW + 1)
        env.agent_dir = DOWN if action == Action.PICKUP else UP
        env.step(Action.FORWARD)
        assert env.pose.y != row
        env.step(action)
        env.step(Action.FORWARD)
        assert env.pose.y == row


def test_a_reset_empties_the_hands():
    world = World(doors=[0, 1], keys=[0, 1])
    world.act(0, Action.PICKUP)
    _, info = world.env.reset(seed=1)
    assert not info["inventory"].any()


def test_a_noop_changes_nothing():
    world = World(doors=[0, 1], keys=[0, 1])
    before, _ = world.env.reset(seed=1)
    after, *_ = world.env.step(Action.NOOP)
    assert np.array_equal(before, after)
