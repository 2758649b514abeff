"""Samplers are pure functions: every episode once an epoch, the same global batches on any number of ranks."""

import numpy as np
import pytest

from longdream.datasets.samplers import WholeTrajectories

EPISODES = np.arange(100, 117)  # 17: no batch size divides it


def test_every_episode_exactly_once_an_epoch():
    sampler = WholeTrajectories(EPISODES, batch_size=4, seed=0)
    stream = np.concatenate([sampler.batch(step) for step in range(17)])  # 68 = 4 epochs
    epochs = stream.reshape(4, 17)
    for epoch in epochs:
        assert sorted(epoch) == EPISODES.tolist()
    assert len({tuple(epoch) for epoch in epochs}) == 4


@pytest.mark.parametrize("ranks", [2, 4])
def test_ranks_share_the_same_global_batches(ranks):
    whole = WholeTrajectories(EPISODES, 8, seed=3)
    parts = [WholeTrajectories(EPISODES, 8, 3, rank, ranks) for rank in range(ranks)]
    for step in range(10):
        np.testing.assert_array_equal(np.concatenate([part.batch(step) for part in parts]), whole.batch(step))


def test_a_batch_depends_on_its_step_and_not_on_what_was_asked_before():
    used = WholeTrajectories(EPISODES, 4, seed=1)
    wanted = [used.batch(step) for step in range(30)]
    for step in (29, 3, 17, 0):
        np.testing.assert_array_equal(WholeTrajectories(EPISODES, 4, seed=1).batch(step), wanted[step])
    assert any((WholeTrajectories(EPISODES, 4, seed=2).batch(s) != wanted[s]).any() for s in range(3))


def test_batches_larger_than_the_data_set_span_epochs():
    batch = WholeTrajectories(np.array([7, 9]), 6, seed=0).batch(5)
    assert sorted(batch) == [7, 7, 7, 9, 9, 9]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((EPISODES, 5, 0, 0, 2), "batch_size 5 cannot be shared by 2"),
        ((EPISODES, 0, 0), "batch_size 0"),
        ((EPISODES[:0], 4, 0), "no episodes"),
        ((EPISODES, 4, 0, 2, 2), "rank 2"),
    ],
)
def test_wrong_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        WholeTrajectories(*arguments)
