"""Distracting Memory: its world, its script, its reward."""

import numpy as np
import pytest
from minigrid.core.constants import COLORS

from longdream.collectors.catalogue import ENVIRONMENTS
from longdream.collectors.envs.distracting_memory import (
    MIDDLE,
    Action,
    DistractingMemory,
    DistractingMemoryOptions,
    draw,
    spec,
)
from longdream.collectors.policies.distracting_memory import context, query
from longdream.collectors.rollout import collect_episode, episode_seed, rollout
from longdream.datasets.frames.tiles import EMPTY, PALETTE, SQUARE
from longdream.tests.collectors.episodes import differences

ENVIRONMENT = ENVIRONMENTS["distracting_memory"]
WIDTHS = (14, 15, 16, 17, 31, 50, 101)


def episodes(width, count, **options):
    """Return some episodes of one width."""
    chosen = DistractingMemoryOptions(width=width, **options)
    return [collect_episode(ENVIRONMENT, chosen, episode_seed(0, index)) for index in range(count)]


@pytest.mark.parametrize("width", WIDTHS)
def test_the_spec_is_the_scripts_length(width):
    rng = np.random.default_rng(0)
    options = DistractingMemoryOptions(width=width)
    layout = draw(options, rng)
    lengths = spec(options)
    assert len(context(layout, layout.start, rng)) == lengths.context - 1 == 2 * (width - 3) + 4
    assert len(query(layout, layout.start, rng)) == lengths.query


@pytest.mark.parametrize(("width", "distractors"), [(14, 0.5), (15, 0.0), (17, 1.0), (31, 0.3)])
def test_the_fast_path_gives_the_same_bytes_at_any_width(width, distractors):
    options = DistractingMemoryOptions(width, distractors)
    for index in range(3):
        seed = episode_seed(1, index)
        assert differences(rollout(ENVIRONMENT, options, seed), collect_episode(ENVIRONMENT, options, seed)) == []


@pytest.mark.parametrize("width", WIDTHS)
def test_no_cue_is_in_view_when_the_query_begins(width):
    """Without distractors, and the squares far away or not coloured like the cue, no pixel has the cue's colour."""
    for episode in episodes(width, 12, distractors=0.0):
        color = COLORS[PALETTE[int(episode.extras["target_color"])]]
        last = episode.obs[episode.context - 1]
        assert not (last == color).all(-1).any()
        assert (episode.obs[: episode.context] == color).all(-1).any(), "the context must show it"
        distance = np.abs(episode.extras["object_pos"][0] - episode.extras["agent_pos"][episode.context - 1])
        assert distance.max() > 2


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"width": 13}, "width 13: 14 or more"),
        ({"distractors": 1.5}, "distractors 1.5"),
        ({"distractors": -0.1}, "-0.1"),
    ],
)
def test_bad_options_are_refused(options, said):
    with pytest.raises(ValueError, match=said):
        spec(DistractingMemoryOptions(**options))
    with pytest.raises(ValueError, match=said):
        DistractingMemory(**options)


def test_the_reward_is_the_memory():
    """1 exactly where the square that the agent faces at the end has the cue's colour, known from the picture alone."""
    rewards, ups = [], []
    for episode in episodes(14, 200):
        x_dir, y_dir = episode.extras["agent_dir"][-1]
        assert x_dir == 0
        assert not episode.reward[:-1].any()
        assert episode.terminal[-1]
        faced = episode.obs[-1, 12 if y_dir > 0 else 28, 20]
        target = COLORS[PALETTE[int(episode.extras["target_color"])]]
        assert episode.reward[-1] == float(np.array_equal(faced, target))
        rewards.append(episode.reward[-1])
        ups.append(y_dir > 0)
    assert 0.4 < np.mean(rewards) < 0.6
    assert 0.4 < np.mean(ups) < 0.6
    assert abs(np.corrcoef(rewards, ups)[0, 1]) < 0.25


def test_the_world():
    """Two squares that differ, one of the cue's colour; the cue anywhere off the middle row; half the hallway."""
    rng = np.random.default_rng(0)
    cues, tops, density = set(), 0, []
    for _ in range(300):
        layout = draw(DistractingMemoryOptions(width=40), rng)
        top, bottom = layout.ids[[MIDDLE - 2, MIDDLE + 2], 38].astype(int) - SQUARE
        assert [top, bottom] == layout.squares.tolist()
        assert top != bottom
        assert layout.target in (top, bottom)
        assert layout.ids[layout.cue[1], layout.cue[0]] == SQUARE + layout.target
        assert np.count_nonzero(layout.ids[MIDDLE - 1 : MIDDLE + 2, 1:4]) == 1, "nothing else is in the room"
        cues.add(layout.cue)
        tops += layout.target == top
        density.append(np.mean(layout.ids[MIDDLE, 4:37] != EMPTY))
    assert cues == {(x, y) for x in (1, 2, 3) for y in (MIDDLE - 1, MIDDLE + 1)}
    assert 120 < tops < 180
    assert 0.45 < np.mean(density) < 0.55


@pytest.mark.parametrize("up", [True, False])
def test_either_square_ends_the_episode(up):
    env = DistractingMemory(width=14)
    env.reset(seed=3)
    for action in [Action.FORWARD] * 6 + [Action.LEFT if up else Action.RIGHT]:
        _, reward, terminated, _, _ = env.step(action)
        assert (reward, terminated) == (0.0, False)
    _, reward, terminated, _, info = env.step(Action.FORWARD)
    assert terminated
    assert reward == float(info["square_colors"][0 if up else 1] == info["target_color"])


def test_an_endless_wait_is_truncated():
    env = DistractingMemory(width=14)
    env.reset(seed=0)
    steps = spec(DistractingMemoryOptions(width=14)).length - 1
    truncated = [env.step(Action.LEFT)[3] for _ in range(steps)]
    assert truncated == [False] * (steps - 1) + [True]


def test_an_unknown_action_is_refused():
    env = DistractingMemory(width=14)
    env.reset(seed=0)
    with pytest.raises(ValueError, match="no action 3; they are 0 to 2"):
        env.step(3)
