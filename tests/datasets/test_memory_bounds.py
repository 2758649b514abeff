"""Memory does not grow with the data set: reading takes what is read, checking takes a chunk."""

import subprocess
import sys
import tracemalloc

import numpy as np
import pytest

from longdream.datasets.inspect import describe
from longdream.datasets.reader import EpisodeDataset
from longdream.datasets.verify import verify
from longdream.tests.datasets.dataset_toys import SIZE, write_toy

LENGTH = 3000
EPISODE = LENGTH * SIZE * SIZE * 3  # bytes of its frames: 3.6 MB, four of them in the shard


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    root = tmp_path_factory.mktemp("long") / "toy"
    write_toy(root, 4, LENGTH)
    return root


def peak(run) -> int:
    """Return the most bytes that `run` had at once; numpy's arrays count."""
    tracemalloc.start()
    try:
        run()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_a_window_takes_a_window(root):
    dataset = EpisodeDataset(root)
    window = 48 * SIZE * SIZE * 3
    assert peak(lambda: dataset.read("image", 2, 1001, 1049)) < 3 * window < EPISODE / 10


def test_an_episode_read_into_place_takes_only_its_compressed_bytes(root):
    dataset, out = EpisodeDataset(root), np.empty((LENGTH, SIZE, SIZE, 3), np.uint8)
    assert peak(lambda: dataset.read("image", 2, out=out)) < 0.7 * EPISODE


def test_verifying_takes_a_piece_and_not_a_shard(root):
    """The shard decodes to 14 MB; a file is read by the MiB, an array decoded by the chunk."""
    assert peak(lambda: verify(root, workers=1)) < 0.6 * EPISODE + 2**20


def test_describing_does_not_touch_the_frames(root, monkeypatch):
    dataset = EpisodeDataset(root)
    describe(dataset)  # imports, caches
    monkeypatch.setattr("longdream.datasets.chunked.ChunkedReader.read", None)
    assert "not 0 in 100.00% of the steps" in describe(dataset)


STREAMING = """
import sys, psutil, torch
from longdream.datasets.loader import Loader
from longdream.datasets.reader import EpisodeDataset
from longdream.datasets.samplers import Streams

def resident():
    return psutil.Process().memory_info().rss

torch.set_num_threads(1)
dataset = EpisodeDataset(sys.argv[1])
sampler = Streams(dataset.indices, dataset.lengths, 32, seed=0, window=25)
with Loader(dataset, sampler, memory=0) as loader:
    next(loader)  # imports, threads
baseline = peak = resident()
held = 0
with Loader(dataset, sampler, memory=float(sys.argv[2])) as loader:
    for _ in range(200):
        next(loader)
        peak, held = max(peak, resident()), max(held, dataset.cache.held)
print(peak - baseline, held)
"""


def test_a_loader_stays_within_its_memory(tmp_path):
    """Of 72 MB of frames the rows leave chunks behind, which wait in the cache while there is room."""
    budget = 8e6
    write_toy(tmp_path / "toy", 20, LENGTH, chunk=125)
    command = [sys.executable, "-c", STREAMING, str(tmp_path / "toy"), str(budget)]
    output = subprocess.run(command, check=True, capture_output=True, text=True, timeout=100).stdout
    added, held = map(int, output.split())
    assert 0.4 * budget < held < budget  # it does keep something
    assert added < budget + 15e6
