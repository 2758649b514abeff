"""What a replay samples is what was played: against plain lists, evenly, whatever is on the disk and what has left."""

from collections import Counter

import numpy as np
import pytest
import torch

from longdream.datasets.reader import EpisodeDataset
from longdream.tests.dreamer.replay_toys import (
    IMAGES,
    LONGEST,
    ROWS,
    VECTORS,
    Reference,
    assert_is,
    open_replay,
    play,
    toy_info,
)

KINDS = pytest.mark.parametrize("obs", [VECTORS, IMAGES], ids=["vectors", "images"])


@KINDS
def test_batches_are_those_of_plain_lists(tmp_path, obs):
    """At every moment: nothing but running episodes, some that wait, some in shards, some that have left."""
    reference = Reference()
    with open_replay(tmp_path, capacity=120, obs=obs) as replay:
        for update, steps in enumerate(play(150, obs)):
            replay.add(steps)
            reference.add(steps)
            if update % 7 == 0:
                start = ("anywhere", "episode")[update % 2]
                batch = replay.sample(4, 17, update, start)
                assert_is(batch, reference.sample(replay.store.oldest, 4, 17, update, start))
            if update % 60 == 59:
                replay.flush()
        assert replay.store.oldest > 0
        assert list((tmp_path / "shards").iterdir())
        assert replay.steps == sum(map(len, reference.ended[replay.store.oldest :] + reference.running))
        assert replay.episodes == len(reference.ended) - replay.store.oldest


def test_every_step_is_equally_likely_at_every_place(tmp_path):
    """Chi-square over all steps, at the first place of a window, one in its middle, and the last."""
    with open_replay(tmp_path) as replay:
        for steps in play(20):
            replay.add(steps)
        places = {0: Counter(), 6: Counter(), 14: Counter()}
        draws = 150
        for update in range(draws):
            obs = replay.sample(64, 15, update).obs
            for place, counter in places.items():
                counter.update(map(tuple, obs[:, place, :3].int().tolist()))
        expected = draws * 64 / replay.steps
        for place, counter in places.items():
            assert len(counter) == replay.steps, f"some steps never come at place {place}"
            chi = sum((found - expected) ** 2 / expected for found in counter.values())
            freedom = replay.steps - 1
            assert abs(chi - freedom) < 4.5 * np.sqrt(2 * freedom), f"place {place}: {chi:.0f} of {freedom}"


def test_windows_from_the_start_of_episodes(tmp_path):
    with open_replay(tmp_path) as replay:
        for steps in play(40):
            replay.add(steps)
        batch = replay.sample(200, 5, 0, start="episode")
        assert batch.first[:, 0].all()
        assert (batch.action[:, 0] == 0).all()
        begun = {tuple(start) for start in batch.obs[:, 0, :3].int().tolist()}
        assert len(begun) > 0.9 * (replay.episodes + ROWS), "all episodes come, however short"
        with pytest.raises(ValueError, match=r"'end'.*anywhere or episode"):
            replay.sample(2, 5, 0, start="end")


def test_running_episodes_are_sampled_at_once(tmp_path):
    with open_replay(tmp_path) as replay:
        with pytest.raises(ValueError, match="replay is empty"):
            replay.sample(1, 1, 0)
        replay.add(next(play(1)))
        batch = replay.sample(50, 2, 0)
        assert batch.first.all()  # each has one step, so that another episode follows
        assert set(batch.obs[:, 0, 0].tolist()) == set(range(ROWS))
        assert (replay.steps, replay.episodes) == (ROWS, 0)


def test_what_is_sampled_does_not_depend_on_what_is_written(tmp_path):
    """One of two replays is written to the disk after every step."""
    with open_replay(tmp_path / "lazy", capacity=100) as lazy, open_replay(tmp_path / "eager", capacity=100) as eager:
        for update, steps in enumerate(play(48)):
            for replay in (lazy, eager):
                replay.add(steps)
            if update % 6 == 0:
                eager.flush()
            pairs = zip(lazy.sample(3, 9, update).tensors, eager.sample(3, 9, update).tensors, strict=True)
            assert all(torch.equal(one, other) for one, other in pairs)


def test_the_oldest_shards_leave_and_as_much_as_was_asked_for_stays(tmp_path):
    capacity = 120
    with open_replay(tmp_path, capacity) as replay:
        size = replay.info.episodes_per_shard
        for steps in play(160):
            replay.add(steps)
            ended = int(replay.store.lengths.sum())
            assert ended < capacity + size * LONGEST
            assert replay.store.oldest == 0 or ended >= capacity
            assert len(replay.store.waiting.kept) < size
        replay.flush()
        there = EpisodeDataset(tmp_path)
        np.testing.assert_array_equal(there.indices, np.arange(replay.store.oldest, replay.store.stop))
        assert replay.store.oldest > 3 * size
        assert not list((tmp_path / "tmp").iterdir())


@KINDS
def test_memory_is_bounded(tmp_path, obs):
    """What waits is less than a shard; what was decoded keeps to its bytes, and without any it is read all the same."""
    reference = Reference()
    with (
        open_replay(tmp_path / "none", 600, obs, memory=0) as none,
        open_replay(tmp_path / "some", 600, obs, memory=3000) as some,
    ):
        for steps in play(70, obs):
            reference.add(steps)
            for replay in (none, some):
                replay.add(steps)
        for update in range(5):
            expected = reference.sample(0, 4, 9, update)
            for replay, most in ((none, 0), (some, 3000)):
                assert_is(replay.sample(4, 9, update), expected)
                assert replay.store.cache.held <= most
        assert some.store.cache.held > 0


def test_an_episode_that_is_lost_is_dropped(tmp_path):
    """A row whose environment has failed begins anew: its steps so far are gone, and no episode has ended."""
    lost = np.arange(ROWS) == 2  # its first episode has 8 steps
    with open_replay(tmp_path) as replay:
        for t, steps in enumerate(play(5)):
            replay.add(steps._replace(first=steps.first | lost) if t == 4 else steps)
        assert replay.episodes == 2, "those of rows 0 and 1"
        batch = replay.sample(200, 1, 0)
        times = batch.obs[batch.obs[:, 0, 0] == 2][:, 0, 2]
        assert set(times.tolist()) == {4}
        assert replay.steps == 2 + 5 + 3 + 1, "row 0 is in its second episode"


def test_a_row_without_a_beginning_is_refused(tmp_path):
    with open_replay(tmp_path) as replay, pytest.raises(ValueError, match=r"row 0 goes on.*no beginning"):
        replay.add(next(play(1))._replace(first=np.zeros(ROWS, bool)))


def test_an_initial_data_set_is_sampled_besides(tmp_path):
    """Its training episodes, in place; the replay's own come besides, each step as likely as another."""
    with open_replay(tmp_path / "old") as old:
        for steps in play(80):
            old.add(steps)
        old.flush()
        held_out = set(range(8, old.episodes, 10)) | set(range(9, old.episodes, 10))
        numbers = [e for e in range(old.episodes) if e not in held_out]
        stored = EpisodeDataset(tmp_path / "old")
        kept = {tuple(obs) for e in numbers for obs in stored.episode(e).obs.tolist()}
    before = sorted(path.name for path in (tmp_path / "old").rglob("*"))
    with open_replay(tmp_path / "new", initial=tmp_path / "old") as replay:
        assert (replay.steps, replay.episodes) == (0, 0)
        drawn = {tuple(obs) for u in range(20) for obs in replay.sample(16, 20, u).obs.flatten(0, 1).tolist()}
        assert drawn == kept
        replay.add(next(play(1, start=0))._replace(obs=np.full((ROWS, 5), 99, np.float32)))
        share = (replay.sample(500, 1, 0).obs[..., 0] == 99).float().mean()
        assert abs(share - ROWS / (len(kept) + ROWS)) < 0.03
    assert sorted(path.name for path in (tmp_path / "old").rglob("*")) == before
    with pytest.raises(ValueError, match=r"has float32 \(5,\) as vector, the run has float32 \(6,\)"):
        open_replay(tmp_path / "other", obs=(6,), initial=tmp_path / "old")
    with pytest.raises(ValueError, match="nothing as image"):
        open_replay(tmp_path / "images", obs=IMAGES, initial=tmp_path / "old")


def test_refusals(tmp_path):
    with pytest.raises(ValueError, match=f"11 steps does not hold one episode.*{LONGEST}"):
        open_replay(tmp_path, capacity=LONGEST - 1)
    open_replay(tmp_path).__exit__(None, None, None)
    with pytest.raises(ValueError, match="holds another data set: arrays"):
        open_replay(tmp_path, obs=(6,))
    with open_replay(tmp_path, capacity=50) as smaller:  # may change when a run goes on
        assert smaller.info.capacity == EpisodeDataset(tmp_path).info.capacity == 50
    assert toy_info().capacity is None
