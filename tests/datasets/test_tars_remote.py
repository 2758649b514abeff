"""Tars by URL: from a web server, which cannot list, and from an object store; only ranges travel."""

import shutil
import tarfile

import numpy as np
import pytest
from obstore.store import MemoryStore

from longdream.datasets.convert.part import export
from longdream.datasets.convert.stored import StoredEpisodes
from longdream.datasets.convert.tars import TARS
from longdream.datasets.files import DatasetError
from longdream.datasets.loader import Loader, read_batch
from longdream.datasets.reader import EpisodeDataset
from longdream.datasets.remote import RemoteFolder
from longdream.datasets.samplers import Streams
from longdream.datasets.verify import verify
from longdream.tests.datasets.convert_toys import Silent
from longdream.tests.datasets.dataset_toys import ARRAYS, SIZE, contents, write_toy
from longdream.tests.datasets.range_server import serve

TAR = "train-000000.tar"
LENGTH = 200  # 20 chunks
FRAME = SIZE * SIZE * 3  # bytes


@pytest.fixture(scope="module")
def pristine(tmp_path_factory):
    root = tmp_path_factory.mktemp("remote")
    write_toy(root / "toy", 8, LENGTH)
    export(StoredEpisodes(root / "toy"), root / "tars", TARS, Silent())
    return root / "tars"


@pytest.fixture
def tars(pristine, tmp_path):
    return shutil.copytree(pristine, tmp_path / "tars")


@pytest.fixture(params=["http", "memory"])
def place(request, tars):
    """Return the tars as they are on a web server, or a copy of them in a store."""
    if request.param == "http":
        with serve(tars.parent) as served:
            yield f"{served.url}/tars"
    else:
        store = MemoryStore()
        for name, data in contents(tars).items():
            store.put(f"data/tars/{name}", data)
        yield RemoteFolder(store, "data/tars", "memory://")


def test_they_read_as_on_a_disk(place, tars):
    far, near = EpisodeDataset(place), EpisodeDataset(tars)
    assert (far.indices.tolist(), far.lengths.tolist()) == (near.indices.tolist(), near.lengths.tolist())
    for e in near.indices.tolist():
        for name, spec in ARRAYS.items():
            read = "read" if spec.per_step else "value"
            one, other = (getattr(dataset, read)(name, e) for dataset in (far, near))
            np.testing.assert_array_equal(one, other, f"{name} of episode {e}")
    assert verify(place) == []


def test_the_loader_gives_the_same_batches(place, tars):
    far, near = EpisodeDataset(place), EpisodeDataset(tars)
    sampler = Streams(near.split("train"), near.lengths[: len(near.split("train"))], 4, 0, window=48)
    with Loader(far, sampler) as loader:
        for step in range(6):
            batch, wanted = next(loader), read_batch(near, sampler.batch(step))
            for one, other in zip(batch.tensors, wanted.tensors, strict=True):
                np.testing.assert_array_equal(one, other)


def test_only_what_is_asked_for_travels(tars):
    with serve(tars) as served:
        dataset = EpisodeDataset(served.url)
        assert {request.file for request in served.requests if request.sent} == {"dataset.json", "tars.json"}
        served.requests.clear()
        dataset.read("image", 3, 101, 149)  # of chunks 10 to 14
        assert [request.sent for request in served.requests] == [50 * FRAME]
        served.requests.clear()
        dataset.read("image", 3, 149, 197)  # the rest of chunk 14 is here already
        assert [request.sent for request in served.requests] == [50 * FRAME]
        served.requests.clear()
        for name in ("action", "reward", "terminal", "is_first"):
            dataset.read(name, 3, 101, 149)
        assert len(served.requests) == 1
        served.requests.clear()
        dataset.read("image", 5)
        assert [request.sent for request in served.requests] == [LENGTH * FRAME]


def test_a_tar_that_is_missing_or_too_short_raises_at_open(tars):
    with serve(tars) as served:
        (tars / TAR).write_bytes((tars / TAR).read_bytes()[:-1])
        with pytest.raises(DatasetError, match=f"{served.url}/{TAR} has [0-9]+ bytes, [0-9]+ were written"):
            EpisodeDataset(served.url)
        (tars / TAR).unlink()
        with pytest.raises(DatasetError, match=f"{served.url}/{TAR} is missing"):
            EpisodeDataset(served.url)
        (problem,) = verify(served.url)
        assert f"{served.url}/{TAR} is missing" in problem


def test_a_flipped_bit_raises_when_it_is_read(tars):
    with tarfile.open(tars / TAR) as tar:
        end = tar.getmember("000002.image.npy").offset_data + tar.getmember("000002.image.npy").size
    data = bytearray((tars / TAR).read_bytes())
    data[end - 1] ^= 1
    (tars / TAR).write_bytes(data)
    with serve(tars) as served:
        dataset = EpisodeDataset(served.url)
        problem = f"{served.url}/{TAR}: image of episode 2 is damaged in chunk 19"
        with pytest.raises(DatasetError, match=problem):
            dataset.read("image", 2, 0, LENGTH)
        assert [line[: len(problem)] for line in verify(served.url)] == [problem]


def test_a_url_without_a_data_set_says_so(tars):
    (tars / "tars.json").unlink()
    with serve(tars) as served:
        with pytest.raises(ValueError, match="http://127") as raised:
            EpisodeDataset(served.url)
        assert "\n" not in str(raised.value)
        with pytest.raises(DatasetError, match=r"nowhere.* no dataset\.json"):
            EpisodeDataset(f"{served.url}/nowhere")
