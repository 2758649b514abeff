"""Episodes side by side: axes, clock, and what may be handed to a model."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from longdream.eval import trials
from longdream.tests.eval.eval_stubs import IMAGE, MemorySource, make_episode


def test_stack_follows_the_clock_and_the_axes_of_a_batch() -> None:
    episodes = [make_episode(index) for index in range(3)]
    batch = trials.stack(episodes)
    height, width, channels = IMAGE
    assert batch.obs.shape == (3, 11, channels, height, width)
    assert batch.obs.dtype == torch.uint8
    assert batch.obs[1, 4, 2, 5, 3] == episodes[1].obs[4, 5, 3, 2]
    assert batch.action.dtype == torch.float32
    np.testing.assert_array_equal(batch.action[2], episodes[2].action)
    np.testing.assert_array_equal(batch.cont[0], 1.0 - episodes[0].terminal)
    np.testing.assert_array_equal(batch.first[0], episodes[0].is_first)
    np.testing.assert_array_equal(batch.reward[1], episodes[1].reward)


def test_what_is_shown_does_not_share_memory_with_the_query() -> None:
    source = MemorySource(2)
    loaded = trials.load(source, [0, 1], [0, 1], trials.layout(source.episodes[0]))
    shown, given = loaded.shown().tensors, loaded.given(1, 3).tensors
    for part in [*shown, loaded.query_actions(), *given, loaded.query_actions(3)]:
        assert part.untyped_storage().nbytes() == part.numel() * part.element_size()
    assert loaded.shown().obs.shape[1] == 7
    np.testing.assert_array_equal(loaded.query_actions()[1], source.episodes[1].action[7:])
    np.testing.assert_array_equal(loaded.query_actions(3)[1], source.episodes[1].action[10:])
    np.testing.assert_array_equal(loaded.given(1, 3).obs[0].movedim(1, -1), source.episodes[0].obs[8:10])
    np.testing.assert_array_equal(loaded.given(1, 3).action[0], source.episodes[0].action[8:10])


@pytest.mark.parametrize(("context", "query"), [(5, 0), (0, 5)])
def test_an_episode_without_two_phases_is_refused(context: int, query: int) -> None:
    with pytest.raises(ValueError, match=f"5 steps with a context of {context} has no query"):
        trials.layout(make_episode(0, context, query))


def test_what_only_some_data_have_is_in_the_layout() -> None:
    plain, posed = trials.layout(make_episode(0)), trials.layout(make_episode(0, posed=True))
    assert (plain.posed, plain.doors, posed.posed, posed.doors) == (False, 0, True, 0)
    source = MemorySource(2, teleport=2)
    source.episodes[1] = make_episode(1)
    loaded = trials.load(source, [0, 1], [0, 1], plain)
    assert loaded.teleported.tolist() == [True, False]
    assert loaded.poses is loaded.doors is None


def test_an_episode_of_another_layout_is_named() -> None:
    source = MemorySource(2)
    source.episodes[1] = make_episode(1, context=6, query=5)
    with pytest.raises(ValueError, match=r"episode 1 is .*context=6.*context=7"):
        trials.load(source, [0, 1], [0, 1], trials.layout(source.episodes[0]))
