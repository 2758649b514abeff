"""What goes wrong far away: silent servers, 403, listings that are out of date, collectors in each other's way."""

import socket
import tempfile
import threading
from datetime import timedelta

import pytest
from obstore.store import MemoryStore

from longdream.datasets import chunk_writer, remote
from longdream.datasets.files import DatasetError
from longdream.datasets.folder import open_folder
from longdream.datasets.info import ShardRange
from longdream.datasets.reader import EpisodeDataset
from longdream.datasets.remote import RemoteFolder
from longdream.datasets.resume import set_damaged_aside
from longdream.datasets.target import open_target
from longdream.datasets.verify import verify
from longdream.tests.datasets.convert_toys import Silent
from longdream.tests.datasets.dataset_toys import toy_episode, toy_info, write_toy
from longdream.tests.datasets.range_server import serve
from longdream.tests.datasets.remote_toys import Watched, in_memory, stored

SHARD = ShardRange(4, 8)
FOLDER = f"shards/{SHARD.name}"
IMAGE, MANIFEST = f"{FOLDER}/image/c/0/0/0/0", f"{FOLDER}/manifest.json"


@pytest.fixture(autouse=True)
def scratch(tmp_path_factory, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path_factory.mktemp("scratch")))


@pytest.fixture
def toy(tmp_path):
    write_toy(tmp_path / "toy", 8)
    return tmp_path / "toy"


@pytest.fixture
def memory(toy):
    return in_memory(toy)


def watched(folder, before):
    return RemoteFolder(Watched(folder.store, before), folder.prefix, folder.url)


def damage(folder):
    data = bytearray(folder.read(IMAGE))
    data[100] ^= 1
    folder.store.put(folder.path(IMAGE), bytes(data))


def test_a_silent_server_is_given_up(monkeypatch):
    assert remote.TIMES["read_timeout"] + remote.RETRIES["retry_timeout"] <= timedelta(minutes=2)
    monkeypatch.setattr(remote, "TIMES", remote.TIMES | {"read_timeout": timedelta(seconds=0.2)})
    monkeypatch.setattr(remote, "RETRIES", remote.RETRIES | {"retry_timeout": timedelta(seconds=0.2)})
    with socket.create_server(("127.0.0.1", 0)) as silent:  # connections wait in its queue for ever
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/d"
        with pytest.raises(OSError, match=f"{url}/dataset.json'$") as raised:
            EpisodeDataset(url)
    assert "\n" not in str(raised.value)


def test_what_is_absent_may_be_forbidden(toy):
    """As in a public bucket whose list is not."""
    with serve(toy, absent=403) as served:
        assert len(EpisodeDataset(served.url)) == 8
        assert verify(served.url) == []


@pytest.mark.parametrize("left", [0, 10, 60])
def test_a_file_shorter_than_its_index_is_named(toy, left):
    (toy / IMAGE).write_bytes((toy / IMAGE).read_bytes()[:left])
    with serve(toy) as served, pytest.raises(DatasetError, match=rf"{SHARD.name}: image/c/0/0/0/0 ends too early"):
        EpisodeDataset(served.url)


def test_a_listing_may_begin_before_a_shard_is_whole(memory):
    """The manifest, which comes last, is in it; files whose names come before are not."""
    early = {path: data for path, data in stored(memory).items() if path.startswith(f"{FOLDER}/action/")}
    lists = 0

    def before(request):
        nonlocal lists
        if request.verb != "list":
            return
        lists += 1
        for path, data in early.items():
            memory.store.delete(memory.path(path)) if lists == 1 else memory.store.put(memory.path(path), data)

    assert len(EpisodeDataset(watched(memory, before))) == 8


def test_what_another_collector_puts_anew_is_not_set_aside(memory):
    """It has set the damaged shard aside since the listing, and is about to put its manifest."""
    whole, info = stored(memory), toy_info(8)
    damage(memory)
    others = iter([None])

    def before(request):
        if (request.verb, request.path) == ("get", memory.path(MANIFEST)) and next(others, "done") is None:
            set_damaged_aside(memory, info, Silent())
            for path, data in whole.items():
                if path.startswith(FOLDER) and path != MANIFEST:
                    memory.store.put(memory.path(path), data)

    set_damaged_aside(watched(memory, before), info, Silent())
    memory.store.put(memory.path(MANIFEST), whole[MANIFEST])
    assert verify(memory) == []
    assert {path: data for path, data in stored(memory).items() if not path.startswith("damaged")} == whole


def test_setting_aside_removes_nothing_but_the_manifest(memory):
    """Whatever else has that name may be new."""
    damage(memory)
    before = stored(memory)
    folder = watched(memory, lambda request: None)
    open_target(folder).set_aside(SHARD)
    assert [request.path for request in folder.store.requests if request.verb == "delete"] == [memory.path(MANIFEST)]
    after = stored(memory)
    assert {path: data for path, data in after.items() if not path.startswith("damaged")} == {
        path: data for path, data in before.items() if path != MANIFEST
    }
    copies = {path.split("/", 2)[2]: data for path, data in after.items() if path.startswith("damaged")}
    assert copies == {path.split("/", 2)[2]: data for path, data in before.items() if path.startswith(FOLDER)}
    open_target(folder).set_aside(SHARD)  # another collector was faster: it is gone
    assert stored(memory) == after


def test_two_writers_with_other_bytes_leave_one_whole_shard(monkeypatch, toy):
    """The slow one puts its files under the fast one's manifest."""
    info, what, there, go = toy_info(4), ShardRange(0, 4), threading.Event(), threading.Event()

    def before(request):
        if request.verb == "put" and "image/c" in request.path and not there.is_set():
            there.set()
            go.wait(30)

    fast = RemoteFolder(MemoryStore(), "data/toy", "memory://")
    open_target(fast).write_info(info, replace=False)

    def write(folder):
        return open_target(folder).write_shard(info, what, (toy_episode(e) for e in range(*what)))

    monkeypatch.setattr(chunk_writer, "LEVEL", 9)  # other bytes, as of another version of zstd
    slow = threading.Thread(target=write, args=(watched(fast, before),))
    slow.start()
    assert there.wait(30)
    monkeypatch.setattr(chunk_writer, "LEVEL", 3)
    assert write(fast)
    go.set()
    slow.join()
    assert verify(fast) == []
    assert {path.partition("/")[0] for path in stored(fast)} == {"dataset.json", "shards", "damaged"}


@pytest.mark.parametrize("name", ["run#2", "is it?"])
def test_marks_that_end_a_path_are_refused_in_urls(tmp_path, name):
    write_toy(tmp_path / name, 4)
    assert len(EpisodeDataset((tmp_path / name).as_uri())) == 4  # written as %23, %3F
    for url in (f"file://{tmp_path}/{name}", f"s3://bucket/{name}"):
        with pytest.raises(ValueError, match=r"cannot be used: .* %3F .* %23$") as raised:
            open_folder(url)
        assert str(raised.value).startswith(url)


def test_double_slashes_are_one(toy):
    assert len(EpisodeDataset(f"file://{toy.parent}//{toy.name}//")) == 8
