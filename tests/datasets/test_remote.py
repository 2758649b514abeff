"""Object stores and web servers: the same arrays as from a disk, few requests, and damage is never silent there."""

import errno
import importlib.util
import multiprocessing
import threading
import time
import warnings
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from obstore.exceptions import GenericError, UnauthenticatedError
from obstore.store import MemoryStore

from longdream.datasets import cli
from longdream.datasets.convert import cli as convert_cli
from longdream.datasets.files import DatasetError
from longdream.datasets.folder import LocalFolder, open_folder
from longdream.datasets.info import DatasetInfo
from longdream.datasets.reader import EpisodeDataset
from longdream.datasets.remote import RemoteFolder
from longdream.datasets.shard import committed
from longdream.datasets.verify import verify
from longdream.provenance import data_hash
from longdream.tests.datasets.dataset_toys import contents, read_sums, toy_length, write_toy
from longdream.tests.datasets.range_server import serve
from longdream.tests.datasets.remote_toys import Watched, in_memory

SHARD = "000004-000008"
IMAGE = f"shards/{SHARD}/image/c/0/0/0/0"
REWARD = f"shards/{SHARD}/reward/c/0"
MANIFEST = f"shards/{SHARD}/manifest.json"


@pytest.fixture(scope="module")
def toy(tmp_path_factory):
    root = tmp_path_factory.mktemp("remote data") / "toy"  # a space is %20 in its URL
    write_toy(root, 10)
    return root


@pytest.fixture
def memory(toy):
    return in_memory(toy)


@pytest.fixture(params=["file", "memory", "http"])
def place(request, toy):
    if request.param == "http":
        with serve(toy.parent) as served:
            yield f"{served.url}/toy"
    else:
        yield toy.as_uri() if request.param == "file" else in_memory(toy)


def test_random_windows_equal_those_from_a_disk(place, toy):
    far, near = EpisodeDataset(place), EpisodeDataset(toy)
    assert (far.info, far.indices.tolist(), far.lengths.tolist()) == (
        near.info,
        near.indices.tolist(),
        near.lengths.tolist(),
    )
    rng = np.random.default_rng(0)
    for name in ("image", "action", "reward", "agent_pos"):
        for _ in range(25):
            e = int(rng.integers(10))
            start, stop = sorted(int(x) for x in rng.integers(toy_length(e) + 1, size=2))
            np.testing.assert_array_equal(far.read(name, e, start, stop), near.read(name, e, start, stop))
    for e in range(10):
        for name in ("seed", "layout"):
            np.testing.assert_array_equal(far.value(name, e), near.value(name, e))
    assert far.disk_bytes() == near.disk_bytes()


def test_verify_and_the_hash_are_those_of_a_disk(place, toy):
    assert verify(place) == []
    assert data_hash(place) == data_hash(toy)


def test_a_folder_in_a_store_answers_like_one_on_a_disk(toy, memory):
    far, near = memory, LocalFolder(toy)
    for folder in ("shards", f"shards/{SHARD}", f"shards/{SHARD}/image", "nowhere"):
        for there in (far / folder, (far / folder).listed()):
            assert there.name == (near / folder).name
            assert there.folders() == (near / folder).folders()
            assert there.files() == (near / folder).files()
            assert there.exists() == (near / folder).exists()
    for folder in (far, far.listed()):
        size = folder.size(IMAGE)
        assert size == near.size(IMAGE)
        assert folder.read(IMAGE) == near.read(IMAGE)
        assert folder.checksum(IMAGE) == near.checksum(IMAGE)
        for offset, count in ((0, 5), (size - 3, 10), (size, 4), (size + 9, 4), (7, 0)):
            assert folder.read_range(IMAGE, offset, count) == near.read_range(IMAGE, offset, count)
        assert folder.has(IMAGE)
        assert not folder.has("image")
        for ask, more in ((folder.size, ()), (folder.read, ()), (folder.checksum, ()), (folder.read_range, (0, 1))):
            with pytest.raises(FileNotFoundError, match="memory:///data/toy/gone"):
                ask("gone", *more)
    assert str(open_folder("s3://bucket/a/b/") / "c") == "s3://bucket/a/b/c"


def test_opening_and_reading_take_few_requests(toy, memory):
    folder = RemoteFolder(store := Watched(memory.store), memory.prefix)
    shards = len(committed(toy, DatasetInfo.read(toy)))
    store.counts()
    dataset = EpisodeDataset(folder)
    found = store.counts()
    assert found.pop("get") == shards + 1  # manifests and dataset.json
    assert found.pop("get_range") == shards  # the chunks' indices
    assert sum(found.values()) <= 6  # listings, and looks for files, however many shards there are
    dataset.read("image", 5, 3, 27)
    assert store.counts() == {"get_range": 1}
    for e in (4, 5, 6, 7):
        dataset.read("reward", e)
    assert store.counts() == {"get": 1}


def test_shards_are_opened_side_by_side(toy, memory):
    waiting, most, lock = 0, 0, threading.Lock()

    def wait(request):
        nonlocal waiting, most
        if request.path.endswith("manifest.json"):
            with lock:
                waiting += 1
                most = max(most, waiting)
            time.sleep(0.05)
            with lock:
                waiting -= 1

    EpisodeDataset(RemoteFolder(Watched(memory.store, wait), memory.prefix))
    assert most == 3


def test_many_shards_are_listed_whole(tmp_path):
    """1,020 objects: more than come in one piece of a listing."""
    write_toy(tmp_path, 34, length=10, episodes_per_shard=1)
    dataset = EpisodeDataset(in_memory(tmp_path))
    assert dataset.indices.tolist() == list(range(34))
    assert dataset.disk_bytes() == EpisodeDataset(tmp_path).disk_bytes()


FAULTS = {
    "deleted": lambda store, path: store.delete(path),
    "empty": lambda store, path: store.put(path, b""),
    "truncated": lambda store, path: store.put(path, store.get(path).bytes().to_bytes()[:-1]),
    "oversized": lambda store, path: store.put(path, store.get(path).bytes().to_bytes() + b"\0"),
}


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("file", [IMAGE, REWARD, f"shards/{SHARD}/zarr.json"])
def test_an_object_that_is_not_whole_raises_at_open(memory, file, fault):
    FAULTS[fault](memory.store, memory.path(file))
    named = f"{SHARD}: {file.split('/', 2)[2]}"
    with pytest.raises(DatasetError, match=named):
        EpisodeDataset(memory)
    problems = verify(memory)
    assert len(problems) == 1
    assert named in problems[0]


@pytest.mark.parametrize("fault", ["deleted", "empty", "truncated"])
@pytest.mark.parametrize("file", [IMAGE, REWARD])
def test_an_object_that_is_lost_after_opening_raises_when_it_is_read(memory, file, fault):
    dataset, name = EpisodeDataset(memory), file.split("/")[2]
    if name == "image" and fault == "truncated":
        memory.store.put(memory.path(file), memory.read(file)[:100])
    else:
        FAULTS[fault](memory.store, memory.path(file))
    with pytest.raises(DatasetError, match=f"{SHARD}: {name}/c/0"):
        dataset.read(name, 7)


@pytest.mark.parametrize("file", [IMAGE, REWARD, f"shards/{SHARD}/image/zarr.json"])
def test_no_flipped_bit_is_silent(memory, file):
    rng, before = np.random.default_rng(0), memory.read(file)
    whole = EpisodeDataset(memory)
    wanted, named = [whole.episode(e) for e in range(4, 8)], f"{SHARD}: {file.split('/', 2)[2]}"
    for _ in range(12):
        after = bytearray(before)
        after[rng.integers(len(after))] ^= 1 << rng.integers(8)
        memory.store.put(memory.path(file), bytes(after))
        try:
            dataset = EpisodeDataset(memory)
            for e, episode in zip(range(4, 8), wanted, strict=True):
                np.testing.assert_array_equal(dataset.read("image", e), episode.obs)
                np.testing.assert_array_equal(dataset.read("reward", e), episode.reward)
        except DatasetError as error:
            assert named in str(error)  # noqa: PT017 (what is never read is only found by `verify`)
        assert [problem for problem in verify(memory) if named in problem]


def test_a_shard_without_a_manifest_is_not_there_yet(memory):
    memory.store.delete(memory.path(MANIFEST))
    assert EpisodeDataset(memory).indices.tolist() == [0, 1, 2, 3, 8, 9]
    assert [problem for problem in verify(memory) if f"{SHARD} is missing" in problem]


def test_a_web_server_has_to_have_every_shard(tmp_path):
    write_toy(tmp_path, 10)
    (tmp_path / MANIFEST).unlink()
    with serve(tmp_path) as served:
        with pytest.raises(DatasetError, match=rf"{SHARD}: manifest\.json is missing"):
            EpisodeDataset(served.url)
        (tmp_path / "dataset.json").unlink()
        with pytest.raises(DatasetError, match=r"no dataset\.json"):
            EpisodeDataset(served.url)


def test_it_travels_to_a_spawned_process_and_serves_threads(toy):
    dataset = EpisodeDataset(toy.as_uri())
    wanted = read_sums(EpisodeDataset(toy))
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        assert pool.apply_async(read_sums, (dataset,)).get(timeout=60) == wanted
    with ThreadPoolExecutor(8) as threads:
        assert list(threads.map(lambda _: read_sums(dataset), range(8))) == [wanted] * 8


def test_after_a_fork_it_says_so_and_does_not_hang(toy):
    dataset = EpisodeDataset(toy.as_uri())
    read_sums(dataset)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # newer Pythons dislike fork beside threads
        with multiprocessing.get_context("fork").Pool(1) as pool:
            for call in (pool.apply_async(read_sums, (dataset,)), pool.apply_async(EpisodeDataset, (toy.as_uri(),))):
                with pytest.raises(OSError, match="fork: start processes with spawn"):
                    call.get(timeout=60)


def test_trouble_is_one_line_with_the_url(memory):
    def fail(error):
        def before(request):
            raise error("cannot reach it\n\nDebug source:\nGeneric {")

        return EpisodeDataset, RemoteFolder(Watched(MemoryStore(), before), "toy", "s3://bucket")

    for error, kind, code in (
        (GenericError, OSError, errno.EIO),
        (UnauthenticatedError, PermissionError, errno.EACCES),
    ):
        read, folder = fail(error)
        with pytest.raises(kind, match=r"cannot reach it: 's3://bucket/toy/dataset\.json'$") as raised:
            read(folder)
        assert raised.value.errno == code
        assert "\n" not in str(raised.value)


def test_mistakes_are_explained(monkeypatch, tmp_path):
    with pytest.raises(ValueError, match=r"^foo://bucket/x cannot be used: .*foo://bucket/x\"$"):
        open_folder("foo://bucket/x")
    with pytest.raises(ValueError, match=r"^file://data/x cannot be used: .* file:///home/me/data$"):
        open_folder("file://data/x")
    with pytest.raises(DatasetError, match=r"file:///.*/nothing is no folder"):
        EpisodeDataset(f"{tmp_path.as_uri()}/nothing")
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ValueError, match=r"^s3://bucket/x needs obstore: pip install 'longdream\[remote\]'$"):
        open_folder("s3://bucket/x")


def test_the_commands_take_urls(toy, tmp_path, monkeypatch, call):
    monkeypatch.chdir(tmp_path)
    before = contents(toy)
    code, out, _ = call(cli.inspect_main, toy.as_uri())
    assert (code, "contact sheet        toy-inspect.png" in out) == (0, True)
    code, out, _ = call(cli.browse_main, toy.as_uri())
    assert (code, "toy-browse.html" in out) == (0, True)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["toy-browse.html", "toy-inspect.png"]
    assert call(cli.verify_main, toy.as_uri())[:2] == (
        0,
        f"{toy.as_uri()}: 10 episodes, 285 steps, all as they were written\n",
    )
    assert call(convert_cli.main, toy.as_uri(), "back", "--to", "longdream")[0] == 0
    assert contents(tmp_path / "back/shards") == contents(toy / "shards")
    assert contents(toy) == before
    for words, problem in (
        ((toy.as_uri(), "s3://bucket/x.h5", "--to", "h5"), "s3://bucket/x.h5: --to h5 writes to a disk; give a path"),
        (("s3://b/x.h5", "d", "--to", "longdream", "--of", "h5"), "s3://b/x.h5: h5 is read from a disk"),
    ):
        code, _, error = call(convert_cli.main, *words)
        assert (code, problem in error) == (2, True)
