"""Samplers are pure functions: every episode once an epoch, the same global batches on any number of ranks."""

import collections
import itertools

import numpy as np
import pytest

from longdream.datasets.samplers import Sampler, Segment, Streams, WholeTrajectories, Windows, row_length

EPISODES = np.arange(100, 117)  # 17: no batch size divides it
LENGTH = 7
UNEQUAL = np.random.default_rng(0).integers(1, 30, 17)


def trajectories(batch_size, seed=0, *ranks, episodes=EPISODES):
    return WholeTrajectories(episodes, np.full(len(episodes), LENGTH), batch_size, seed, *ranks)


def streams(batch_size, window=10, seed=0, *ranks, lengths=UNEQUAL):
    return Streams(EPISODES, lengths, batch_size, seed, *ranks, window=window)


def windows(batch_size, window=10, seed=0, *ranks, lengths=UNEQUAL):
    return Windows(EPISODES, lengths, batch_size, seed, *ranks, window=window)


REGISTERED = {  # how each kind is made of a batch size, a seed and ranks: a new one is tested by being listed here
    WholeTrajectories: trajectories,
    Streams: lambda batch_size, seed, *ranks: streams(batch_size, 10, seed, *ranks),
    Windows: lambda batch_size, seed, *ranks: windows(batch_size, 10, seed, *ranks),
}
KINDS = pytest.mark.parametrize("kind", REGISTERED.values(), ids=[kind.__name__ for kind in REGISTERED])


def episodes_of(rows):
    assert all(row == (Segment(row[0].episode, 0, LENGTH),) for row in rows)
    return [row[0].episode for row in rows]


def reference(row, batch_size, steps, seed=0):
    """The stream of a row, step by step: (episode, step) pairs from a plain concatenation of permutations."""
    order = itertools.chain.from_iterable(
        np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(epoch,))).permutation(17)
        for epoch in itertools.count()
    )
    mine = itertools.islice(order, row, None, batch_size)
    stream = ((int(EPISODES[place]), step) for place in mine for step in range(UNEQUAL[place]))
    return list(itertools.islice(stream, steps))


def steps_of(row):
    return [(segment.episode, step) for segment in row for step in range(segment.start, segment.stop)]


def test_no_sampler_is_left_out():
    assert {kind for kind in Sampler.__subclasses__() if kind.__module__ == Sampler.__module__} == set(REGISTERED)


def test_every_episode_exactly_once_an_epoch():
    sampler = trajectories(4)
    stream = np.concatenate([episodes_of(sampler.batch(step)) for step in range(17)])  # 68 = 4 epochs
    epochs = stream.reshape(4, 17)
    for epoch in epochs:
        assert sorted(epoch) == EPISODES.tolist()
    assert len({tuple(epoch) for epoch in epochs}) == 4


@KINDS
@pytest.mark.parametrize("ranks", [1, 2, 4])
def test_ranks_share_the_same_global_batches(kind, ranks):
    everything = kind(8, 3)
    parts = [kind(8, 3, rank, ranks) for rank in range(ranks)]
    for step in reversed(range(30)):
        assert [row for part in parts for row in part.batch(step)] == everything.batch(step)


@KINDS
def test_a_batch_depends_on_its_step_and_not_on_what_was_asked_before(kind):
    used = kind(4, 1)
    wanted = [used.batch(step) for step in range(60)]
    for step in (59, 3, 17, 0, 42):
        assert kind(4, 1).batch(step) == wanted[step]
        assert used.batch(step) == wanted[step]
    assert any(kind(4, 2).batch(s) != wanted[s] for s in range(3))


def test_batches_larger_than_the_data_set_span_epochs():
    batch = trajectories(6, episodes=np.array([7, 9])).batch(5)
    assert sorted(episodes_of(batch)) == [7, 7, 7, 9, 9, 9]


@pytest.mark.parametrize(("batch_size", "window"), [(1, 10), (3, 1), (4, 50), (40, 10)])  # 40: more rows than episodes
def test_a_stream_is_the_exact_concatenation_of_its_episodes(batch_size, window):
    sampler = streams(batch_size, window)
    batches = [sampler.batch(step) for step in range(600 // window)]
    assert {row_length(row) for rows in batches for row in rows} == {window}
    for row in range(batch_size):
        assert [pair for rows in batches for pair in steps_of(rows[row])] == reference(row, batch_size, 600)
    assert all(segment.stop > segment.start for rows in batches for row in rows for segment in row)


def test_a_run_of_a_million_steps_goes_on_at_once():
    sampler = Streams(np.arange(8000), np.full(8000, 250), 8, seed=0, window=100)
    rows = sampler.batch(1_000_001)  # 100,000,100 steps into each stream: 400,000 episodes and 100 steps
    assert [(segment.start, segment.stop) for row in rows for segment in row] == [(100, 200)] * 8
    assert len(sampler._begins) < 500  # what is kept grows with the epochs, not with the episodes


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((EPISODES, UNEQUAL, 5, 0, 0, 2), "batch_size 5 cannot be shared by 2"),
        ((EPISODES, UNEQUAL, 0, 0), "batch_size 0"),
        ((EPISODES[:0], UNEQUAL[:0], 4, 0), "no episodes"),
        ((EPISODES, UNEQUAL, 4, 0, 2, 2), "rank 2"),
    ],
)
def test_wrong_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        Streams(*arguments, window=9)


def test_random_windows_begin_at_every_step_alike():
    """Of 261 steps, 40,000 draws: 153 each, and the sum of the squared deviations is that of chance."""
    sampler = windows(100, window=1)
    drawn = collections.Counter(p for step in range(400) for row in sampler.batch(step) for p in steps_of(row))
    steps = [(int(episode), step) for episode, length in zip(EPISODES, UNEQUAL, strict=True) for step in range(length)]
    times = np.array([drawn[step] for step in steps])
    assert times.sum() == 40_000
    expected = 40_000 / len(steps)
    chi_square, freedom = ((times - expected) ** 2 / expected).sum(), len(steps) - 1
    assert abs(chi_square - freedom) < 4 * np.sqrt(2 * freedom)


@pytest.mark.parametrize("window", [5, 10, 100])  # 100: longer than three of the longest
def test_random_windows_go_on_with_other_episodes_from_their_first_step(window):
    sampler = windows(50, window)
    rows = [row for step in range(80) for row in sampler.batch(step)]
    ends = dict(zip(EPISODES.tolist(), UNEQUAL.tolist(), strict=True))
    assert {row_length(row) for row in rows} == {window}
    for row in rows:
        assert all(segment.stop == ends[segment.episode] for segment in row[:-1])
        assert all(segment.start == 0 for segment in row[1:])
        assert all(0 <= segment.start < segment.stop <= ends[segment.episode] for segment in row)
    second = collections.Counter(row[1].episode for row in rows if len(row) > 1)
    expected = sum(second.values()) / len(EPISODES)
    assert len(second) == len(EPISODES)  # each of them, all alike
    chi_square, freedom = sum((n - expected) ** 2 / expected for n in second.values()), len(EPISODES) - 1
    assert abs(chi_square - freedom) < 4 * np.sqrt(2 * freedom)


def test_random_windows_of_episodes_of_one_step():
    """The most episodes that a window can span."""
    rows = windows(4, window=6, lengths=np.ones(17, int)).batch(3)
    assert [[(segment.start, segment.stop) for segment in row] for row in rows] == [[(0, 1)] * 6] * 4


def test_random_windows_differ_by_step_row_and_seed():
    seen = [tuple(windows(8, seed=seed).batch(step)) for seed in range(3) for step in range(20)]
    assert len(set(seen)) == 60
    assert len({row for batch in seen for row in batch}) > 150  # of at most 261 places to begin


@pytest.mark.parametrize("kind", [Streams, Windows])
def test_a_window_has_a_step(kind):
    with pytest.raises(ValueError, match="a window must have 1 step or more, not 0"):
        kind(EPISODES, UNEQUAL, 4, 0, window=0)


def test_whole_trajectories_have_one_length():
    with pytest.raises(ValueError, match=r"episode 100 has 25 steps, episode 101 has \d+; windows"):
        WholeTrajectories(EPISODES, UNEQUAL, 4, seed=0)
