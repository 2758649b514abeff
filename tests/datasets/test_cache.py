"""The cache holds what was used latest and never more than its limit; what is read is the same with and without it."""

import itertools
import os
import pickle
import signal
import threading
import warnings
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch

from longdream.datasets.budget import Budget, batch_bytes
from longdream.datasets.cache import Cache
from longdream.datasets.chunked import ChunkedReader
from longdream.datasets.convert.part import export
from longdream.datasets.convert.stored import StoredEpisodes
from longdream.datasets.convert.tars import TARS
from longdream.datasets.loader import Loader, read_batch
from longdream.datasets.reader import EpisodeDataset
from longdream.datasets.samplers import Streams, WholeTrajectories, Windows
from longdream.tests.datasets.convert_toys import Silent
from longdream.tests.datasets.dataset_toys import CHUNK, SIZE, toy_episode, toy_length, write_toy

CHUNK_BYTES = CHUNK * SIZE * SIZE * 3


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    root = tmp_path_factory.mktemp("cache") / "toy"
    write_toy(root, 10)
    return root


def kept(cache, keys):
    """The keys that are there, looked at without being used."""
    return [key for key in keys if key in cache._kept]


def test_the_longest_unused_go_first():
    cache = Cache(1000)
    for key in "abc":
        cache.put(key, np.zeros(300, np.uint8))
    assert cache.get("a") is not None
    cache.put("d", np.zeros(300, np.uint8))
    assert kept(cache, "abcd") == ["a", "c", "d"]
    cache.put("e", np.zeros(500, np.uint8))
    assert kept(cache, "abcde") == ["d", "e"]
    assert cache.held == 800


def test_bytes_are_counted_once():
    cache = Cache(1000)
    cache.put("a", np.zeros(300, np.uint8))
    cache.put("a", np.ones(100, np.float32))
    assert cache.held == 400
    cache.put("b", np.zeros(1001, np.uint8))  # would never fit, and throws nothing out
    assert cache.get("b") is None
    assert cache.get("a").sum() == 100
    cache.limit = 399
    assert cache.held == 0
    cache.put("c", np.zeros(399, np.uint8))
    cache.drop("c")
    cache.drop("c")
    assert cache.held == 0


def test_it_travels_empty_and_is_shared_by_what_travels_together():
    cache = Cache(1000)
    cache.put("a", np.zeros(300, np.uint8))
    one, other = pickle.loads(pickle.dumps([cache, cache]))
    assert one is other
    assert one.held == 0
    assert one.limit == 1000


def test_threads_never_hold_more_than_the_limit():
    cache, seen = Cache(10_000), []

    def work(seed):
        rng = np.random.default_rng(seed)
        for _ in range(3000):
            key, size = int(rng.integers(40)), int(rng.integers(1, 4000))
            found = cache.get(key)
            assert found is None or (found == key).all()
            cache.put(key, np.full(size, key, np.uint8))
            seen.append(cache.held)
            if size < 100:
                cache.drop(key)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(work, range(4)))
    assert max(seen) <= 10_000
    assert cache.held == sum(values.nbytes for values in cache._kept.values())


def test_a_forked_process_does_not_wait_for_a_thread_that_it_lacks():
    cache, idle = Cache(1000), Cache(1000)
    for one in (cache, idle):
        one.put("a", np.zeros(300, np.uint8))
    with cache._lock, warnings.catch_warnings():  # as another thread may hold it at that moment
        warnings.simplefilter("ignore", DeprecationWarning)  # newer Pythons dislike fork beside threads
        child = os.fork()
        if child == 0:
            signal.alarm(10)
            cache.put("b", np.zeros(200, np.uint8))
            os._exit(int((cache.held, idle.held) != (200, 300)))
    assert os.waitpid(child, 0)[1] == 0
    assert cache.held == 300


@pytest.mark.parametrize("limit", [0, CHUNK_BYTES, 4 * CHUNK_BYTES, 1e9])
@pytest.mark.parametrize("window", [3, 7, 10, 24])
def test_streams_are_the_same_whatever_is_kept(root, limit, window):
    dataset = EpisodeDataset(root)
    dataset.cache.limit = limit
    for start in range(0, 40, window):
        for e in (7, 2, 9):  # side by side, as the rows of a batch
            length = toy_length(e)
            if start < length:
                found = dataset.read("image", e, start, min(start + window, length))
                np.testing.assert_array_equal(found, toy_episode(e).obs[start : start + window])
        assert dataset.cache.held <= limit


@pytest.mark.parametrize("limit", [0, 2 * CHUNK_BYTES, 1e9])
def test_random_reads_are_the_same_whatever_is_kept(root, limit):
    dataset, rng = EpisodeDataset(root), np.random.default_rng(0)
    dataset.cache.limit = limit
    episodes = [toy_episode(e).obs for e in range(10)]
    for _ in range(600):
        e = int(rng.integers(10))
        start, stop = sorted(rng.integers(0, len(episodes[e]) + 1, 2).tolist())
        np.testing.assert_array_equal(dataset.read("image", e, start, stop), episodes[e][start:stop])
        assert dataset.cache.held <= limit


@pytest.mark.parametrize("threads", [1, 3])
def test_a_stream_decodes_every_chunk_once_and_keeps_none(root, monkeypatch, threads):
    decoded, decode = [], ChunkedReader._decode

    def counted(self, number, packed, out):
        decoded.append((self.where, number))
        decode(self, number, packed, out)

    monkeypatch.setattr(ChunkedReader, "_decode", counted)
    dataset = EpisodeDataset(root)
    sampler = Streams(dataset.indices, dataset.lengths, 1, seed=0, window=7)
    epoch = int(dataset.lengths.sum())
    with Loader(dataset, sampler, threads=threads, depth=1) as loader:
        list(itertools.islice(loader, epoch // 7))
    assert len(decoded) == len(set(decoded))
    assert len(decoded) >= int((dataset.lengths // CHUNK).sum())
    small = sum(values.nbytes for (_, part), values in dataset.cache._kept.items() if isinstance(part, str))
    assert dataset.cache.held - small <= CHUNK_BYTES


@pytest.mark.parametrize(("sampler", "keeps"), [(Streams, True), (Windows, False)])
@pytest.mark.parametrize("tars", [False, True])
def test_chunks_are_kept_only_for_rows_that_go_on(root, tmp_path, sampler, keeps, tars):
    if tars:
        export(StoredEpisodes(root), tmp_path / "tars", TARS, Silent())
    dataset = EpisodeDataset(tmp_path / "tars" if tars else root)
    with Loader(dataset, sampler(dataset.indices, dataset.lengths, 4, seed=0, window=7)) as loader:
        list(itertools.islice(loader, 5))
    assert any(isinstance(part, int) for _, part, *others in dataset.cache._kept if not others) == keeps


def test_two_threads_may_decode_the_same_chunk(root, monkeypatch):
    both, decode = threading.Barrier(2, timeout=30), ChunkedReader._decode

    def together(self, number, packed, out):
        both.wait()
        decode(self, number, packed, out)

    monkeypatch.setattr(ChunkedReader, "_decode", together)
    dataset = EpisodeDataset(root)
    with ThreadPoolExecutor(2) as pool:
        found = list(pool.map(lambda stop: dataset.read("image", 4, 2, stop), (5, 8)))
    for stop, image in zip((5, 8), found, strict=True):
        np.testing.assert_array_equal(image, toy_episode(4).obs[2:stop])
    assert dataset.cache.held == CHUNK_BYTES


def test_what_was_read_cannot_be_changed_through_what_was_handed_out(root):
    dataset = EpisodeDataset(root)
    dataset.read("image", 4, 0, 5)[:] = 255
    found = dataset.read("image", 4, 5, 8)
    np.testing.assert_array_equal(found, toy_episode(4).obs[5:8])
    found[:] = 255
    np.testing.assert_array_equal(dataset.read("image", 4, 8, 10), toy_episode(4).obs[8:10])


@pytest.mark.parametrize(
    ("total", "ahead", "cache"), [(1000, 3, 700), (600, 3, 300), (599, 2, 399), (150, 1, 50), (99, 1, 0), (0, 1, 0)]
)
def test_half_of_the_memory_is_for_batches_ahead(total, ahead, cache):
    budget = Budget(total, batch=100, most=3)
    assert (budget.ahead, budget.cache) == (ahead, cache)
    assert budget.is_short == (total < 100)
    assert budget.is_short or budget.ahead * 100 + budget.cache <= total


def test_pinned_tensors_take_powers_of_two(root):
    dataset = EpisodeDataset(root)
    sampler = Windows(dataset.indices, dataset.lengths, 3, seed=0, window=7)
    wanted = 0
    for tensor in read_batch(dataset, sampler.batch(0)).tensors:
        block = 1
        while block < tensor.nbytes:
            block *= 2
        wanted += block
    with Loader(dataset, sampler, pin_memory=True) as loader:
        assert loader.budget.batch == wanted


@pytest.mark.parametrize("sampler", [WholeTrajectories, Streams, Windows])
@pytest.mark.parametrize("batches", [0, 0.5, 1.5, 20])
def test_the_loader_keeps_to_its_memory(tmp_path, sampler, batches):
    write_toy(tmp_path / "toy", 10, 25)
    dataset = EpisodeDataset(tmp_path / "toy")
    options = {} if sampler is WholeTrajectories else {"window": 7}
    rows = sampler(dataset.indices, dataset.lengths, 4, seed=0, **options)
    size = sum(x.numel() * x.element_size() for x in read_batch(dataset, rows.batch(0)).tensors)
    assert batch_bytes(dataset.info, rows.batch(0)) == size
    with Loader(dataset, rows, memory=batches * size, depth=4) as loader:
        for step in range(12):
            wanted = read_batch(EpisodeDataset(tmp_path / "toy"), rows.batch(step))
            assert all(map(torch.equal, next(loader).tensors, wanted.tensors))
            ahead = sum(batch_bytes(dataset.info, pending.draft.rows) for pending in loader._ahead)
            assert dataset.cache.held + ahead <= max(batches, 1) * size
