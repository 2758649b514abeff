"""The loader: the sampler's batches in its order, whatever the threads do; errors and threads do not get lost."""

import itertools
import threading

import numpy as np
import pytest
import torch

from longdream.datasets.files import DatasetError
from longdream.datasets.loader import Loader, read_batch, whole
from longdream.datasets.reader import EpisodeDataset
from longdream.datasets.samplers import Segment, Streams, WholeTrajectories
from longdream.tests.datasets.dataset_toys import toy_episode, toy_length, write_toy

LENGTH = 25


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    root = tmp_path_factory.mktemp("loader") / "toy"
    write_toy(root, 10, LENGTH)
    return root


@pytest.fixture
def dataset(root):
    return EpisodeDataset(root)


def sampler_of(dataset, episodes, batch_size):
    return WholeTrajectories(episodes, [dataset.length(int(e)) for e in episodes], batch_size, seed=0)


def test_a_batch_is_its_episodes_side_by_side(dataset):
    batch = read_batch(dataset, whole(dataset, [7, 2]))
    for row, e in enumerate((7, 2)):
        episode = toy_episode(e, LENGTH)
        np.testing.assert_array_equal(batch.obs[row].permute(0, 2, 3, 1).numpy(), episode.obs)
        np.testing.assert_array_equal(batch.action[row].numpy(), episode.action)
        np.testing.assert_array_equal(batch.reward[row].numpy(), episode.reward)
        np.testing.assert_array_equal(batch.cont[row].numpy(), 1 - episode.terminal)
        np.testing.assert_array_equal(batch.first[row].numpy(), episode.is_first)
    assert batch.obs.shape == (2, LENGTH, 3, 20, 20)
    assert [x.dtype for x in batch.tensors] == [torch.uint8, torch.float32, torch.float32, torch.float32, torch.bool]
    assert (batch.action[:, 0] == 0).all()
    assert batch.obs.flatten(0, 1).is_contiguous(memory_format=torch.channels_last)  # decoded in place, no copy


def test_a_row_is_its_segments_one_after_another(dataset):
    rows = [(Segment(3, 20, 25), Segment(7, 0, 4)), (Segment(1, 5, 14),)]
    batch = read_batch(dataset, rows)
    three, seven, one = (toy_episode(e, LENGTH) for e in (3, 7, 1))
    frames = batch.obs.permute(0, 1, 3, 4, 2).numpy()
    np.testing.assert_array_equal(frames[0], np.concatenate([three.obs[20:], seven.obs[:4]]))
    np.testing.assert_array_equal(frames[1], one.obs[5:14])
    np.testing.assert_array_equal(batch.reward[0], np.concatenate([three.reward[20:], seven.reward[:4]]))
    assert batch.first[0].tolist() == [False] * 5 + [True] + [False] * 3
    assert not batch.first[1].any()
    assert batch.cont[0].tolist() == [1] * 4 + [0] + [1] * 4


def test_streams_of_unequal_episodes_join_without_a_gap(tmp_path):
    write_toy(tmp_path, 6)
    dataset = EpisodeDataset(tmp_path)
    with Loader(dataset, Streams(dataset.indices, dataset.lengths, 1, seed=0, window=9)) as loader:
        batches = list(itertools.islice(loader, 16))
    rewards = np.concatenate([batch.reward[0].numpy() for batch in batches])
    starts = np.flatnonzero(np.concatenate([batch.first[0].numpy() for batch in batches]))
    order = np.random.default_rng(np.random.SeedSequence(0, spawn_key=(0,))).permutation(6)
    wanted = np.concatenate([toy_episode(int(e)).reward for e in order])
    np.testing.assert_array_equal(rewards, wanted[:144])
    np.testing.assert_array_equal(starts, np.cumsum([0, *(toy_length(int(e)) for e in order)])[: len(starts)])


@pytest.mark.parametrize(("threads", "depth"), [(1, 1), (4, 6)])
def test_order_is_the_samplers_from_any_step(dataset, threads, depth):
    sampler = sampler_of(dataset, dataset.split("train"), 3)
    with Loader(dataset, sampler, start_step=4, threads=threads, depth=depth) as loader:
        batches = list(itertools.islice(loader, 6))  # kept, all at once: none is overwritten by a later one
    for step, batch in enumerate(batches, 4):
        wanted = read_batch(dataset, sampler.batch(step))
        for ours, theirs in zip(batch.tensors, wanted.tensors, strict=True):
            assert torch.equal(ours, theirs)


def test_threads_end_with_the_loader(dataset):
    def loaders():
        return [thread for thread in threading.enumerate() if thread.name.startswith("loader")]

    with Loader(dataset, sampler_of(dataset, dataset.indices, 2)) as loader:
        next(loader)
        assert loaders()
    assert not loaders()

    def fail():
        with Loader(dataset, sampler_of(dataset, dataset.indices, 2)) as loader:
            next(loader)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert not loaders()


def test_damage_surfaces_in_the_consumer_for_its_batch(tmp_path):
    write_toy(tmp_path, 10, LENGTH)
    dataset = EpisodeDataset(tmp_path)
    path = tmp_path / "shards/000008-000010/image/c/0/0/0/0"
    data = bytearray(path.read_bytes())
    data[50] ^= 1
    path.write_bytes(data)
    sampler = sampler_of(dataset, dataset.indices, 1)
    with Loader(dataset, sampler) as loader:
        for step in range(10):
            if sampler.batch(step)[0][0].episode == 8:
                with pytest.raises(DatasetError, match=r"000008-000010: image/c/0/0/0/0 is damaged in chunk 0"):
                    next(loader)
            else:
                assert len(next(loader).obs) == 1


def test_lengths_that_differ_are_named(tmp_path):
    write_toy(tmp_path, 4)
    dataset = EpisodeDataset(tmp_path)
    with pytest.raises(ValueError, match="episode 0 has 21 steps, episode 1 has 28"):
        sampler_of(dataset, dataset.indices, 2)
    with pytest.raises(ValueError, match=r"row 0 \(of episode 0\) has 21 steps, row 1 \(of episode 1\) has 28"):
        read_batch(dataset, whole(dataset, [0, 1]))


def test_wrong_arguments(dataset):
    with pytest.raises(ValueError, match="threads and depth"):
        Loader(dataset, sampler_of(dataset, dataset.indices, 2), threads=0)
