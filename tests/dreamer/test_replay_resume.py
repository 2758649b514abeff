"""A replay that goes on from a state is the one that never stopped, wherever the run was killed since."""

import copy
import os
import signal

import numpy as np
import pytest
import torch

from longdream.datasets import store
from longdream.datasets.reader import EpisodeDataset
from longdream.datasets.target import LocalTarget
from longdream.datasets.verify import verify
from longdream.dreamer.replay import Replay
from longdream.tests.dreamer.replay_toys import (
    IMAGES,
    SEED,
    SIDES,
    VECTORS,
    Reference,
    assert_is,
    open_replay,
    play,
    sides_of,
    toy_info,
)

CAPACITY = 60  # small: shards leave all the time
END = 80
COUNT = 3  # of the moments at which a run is killed


def batches(replay, start, obs=VECTORS):
    """Play from `start` to the end; yield a batch after each step."""
    for update, steps in enumerate(play(END, obs, start), start):
        replay.add(steps)
        yield replay.sample(3, 11, update)


@pytest.fixture(scope="module")
def unstopped(tmp_path_factory):
    """The batches of a run that never stopped, and its folder, by what is observed."""
    found = {}
    for obs in (VECTORS, IMAGES):
        root = tmp_path_factory.mktemp("unstopped")
        with open_replay(root, CAPACITY, obs) as whole:
            found[obs] = (list(batches(whole, 0, obs)), root)
    return found


def test_side_arrays_are_kept_and_go_on(tmp_path):
    info = toy_info(sides=SIDES)
    with Replay(tmp_path, info, 10_000, SEED) as replay:
        for steps in play(50):
            replay.add(steps, sides_of(steps))
        state = replay.state()
    with Replay(tmp_path, info, 10_000, SEED) as replay:
        replay.restore(state)
        for steps in play(END, start=50):
            replay.add(steps, sides_of(steps))
        replay.flush()
    dataset, seen = EpisodeDataset(tmp_path), set()
    for e in dataset.indices.tolist():
        episode = dataset.episode(e)
        row, number = episode.obs[0, :2].astype(int)
        np.testing.assert_array_equal(
            episode.extras["clock"], np.stack([np.full(len(episode), row), range(len(episode))], 1)
        )
        assert episode.extras["number"] == 10 * number % 256, "what the first step said"
        seen.add((row, number))
    assert len(seen) == len(dataset.indices) > 20


def assert_equal(found, expected):
    for one, other in zip(found, expected, strict=True):
        assert all(torch.equal(x, y) for x, y in zip(one.tensors, other.tensors, strict=True))


@pytest.mark.parametrize("obs", [VECTORS, IMAGES], ids=["vectors", "images"])
@pytest.mark.parametrize("late", [5, 31])
def test_going_on_equals_never_having_stopped(tmp_path, unstopped, obs, late):
    """The killed run has gone `late` steps beyond its state: more shards, a larger last one, and the oldest gone."""
    expected, whole = unstopped[obs]
    with open_replay(tmp_path / "cut", CAPACITY, obs) as cut:
        for t, steps in enumerate(play(END, obs)):
            if t == 50:
                state = cut.state()
                kept = copy.deepcopy(state)
            if t == 50 + late:
                break
            cut.add(steps)
            cut.sample(3, 11, t)  # also what is newer than the state is decoded and kept
        cut.flush()
        assert repr(state) == repr(kept), "a state does not change any more"
        cut.restore(state)  # in the same process
        assert_equal(batches(cut, 50, obs), expected[50:])
    with open_replay(tmp_path / "cut", CAPACITY, obs) as again:  # and in another, from a folder that is far ahead
        again.restore(state)
        assert_equal(batches(again, 50, obs), expected[50:])
        again.flush()
    assert verify(tmp_path / "cut") == []
    one, other = EpisodeDataset(whole), EpisodeDataset(tmp_path / "cut")
    both = np.intersect1d(one.indices, other.indices)
    assert len(both)
    for e in both.tolist():
        np.testing.assert_array_equal(one.episode(e).obs, other.episode(e).obs)


def test_the_state_before_the_last_can_be_gone_back_to_and_older_ones_are_refused(tmp_path):
    """A run may be killed while it writes its checkpoint."""
    states = []
    with open_replay(tmp_path, CAPACITY) as replay:
        for t, steps in enumerate(play(END)):
            if t % 25 == 24:
                states.append(replay.state())
            replay.add(steps)
        assert states[0]["oldest"] < states[1]["oldest"]
    with open_replay(tmp_path, CAPACITY) as again:
        with pytest.raises(ValueError, match="lacks some of the episodes 0 to"):
            again.restore(states[0])
        again.restore(states[1])
        reference = Reference()
        for steps in play(49):
            reference.add(steps)
        assert_is(again.sample(5, 9, 3), reference.sample(states[1]["oldest"], 5, 9, 3))


def test_a_run_from_scratch_clears_what_a_killed_one_has_left(tmp_path, unstopped):
    expected, _ = unstopped[VECTORS]
    with open_replay(tmp_path / "old", CAPACITY) as old:
        for steps in play(40):
            old.add(steps._replace(obs=steps.obs + 1))
        old.flush()
    with open_replay(tmp_path / "old", CAPACITY) as again:
        assert again.episodes > 0
        again.clear()
        assert (again.steps, again.episodes) == (0, 0)
        assert not list((tmp_path / "old/shards").iterdir())
        assert_equal(batches(again, 0), expected)


def die(*_):
    os.kill(os.getpid(), signal.SIGKILL)


@pytest.mark.parametrize("moment", ["before the rename", "after the rename", "before a removal", "in a removal"])
def test_killed_in_mid_commit(tmp_path, monkeypatch, unstopped, moment):
    """kill -9 at the third such moment after the state, in the run and then in going back: nothing is lost."""
    expected, _ = unstopped[VECTORS]
    with open_replay(tmp_path / "cut", CAPACITY) as cut:
        for steps in play(50):
            cut.add(steps)
        state = cut.state()

    def go_on():
        with open_replay(tmp_path / "cut", CAPACITY) as replay:
            replay.restore(state)
            for t, steps in enumerate(play(END, start=50)):
                replay.add(steps)
                if t % 5 == 4:
                    replay.flush()  # many commits of the last shard
            replay.state(), replay.state()

    with monkeypatch.context() as patch:
        left = [COUNT]
        commit, remove = store._commit, LocalTarget.remove

        def counted(work, at, after=False):
            def run(*arguments):
                if moment == at:
                    left[0] -= 1
                if left[0] == 0 and not after:
                    die()
                done = work(*arguments)
                return die() if left[0] == 0 else done

            return run

        early = moment == "before the rename"
        patch.setattr(
            store, "_commit", counted(commit, "before the rename" if early else "after the rename", not early)
        )
        patch.setattr(LocalTarget, "remove", counted(remove, "before a removal"))
        rmtree = counted(os.unlink, "in a removal", after=True)
        patch.setattr("shutil._rmtree_safe_fd", lambda *a, **k: rmtree(next((tmp_path / "cut/tmp").rglob("c/0"))))
        if (child := os.fork()) == 0:
            try:
                go_on()
            finally:
                os._exit(0)
        assert os.WTERMSIG(os.waitpid(child, 0)[1]) == signal.SIGKILL
    assert verify(tmp_path / "cut") == [], "every shard that is there is whole, and none is missing between two"
    with open_replay(tmp_path / "cut", CAPACITY) as again:
        again.restore(state)
        assert_equal(batches(again, 50), expected[50:])
        again.state()
    assert not list((tmp_path / "cut/tmp").iterdir())
