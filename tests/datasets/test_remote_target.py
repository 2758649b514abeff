"""Making data sets in object stores: a shard is there when its manifest is, whatever dies, races or is damaged."""

import os
import tempfile
import threading

import pytest
from obstore.exceptions import GenericError
from obstore.store import MemoryStore

from longdream.datasets.convert.stored import StoredEpisodes, into_store
from longdream.datasets.files import scratch as scratch_path
from longdream.datasets.info import ShardRange
from longdream.datasets.manifest import MANIFEST
from longdream.datasets.reader import EpisodeDataset
from longdream.datasets.remote import RemoteFolder
from longdream.datasets.resume import begin, finish, missing_shards, set_damaged_aside
from longdream.datasets.shard import committed
from longdream.datasets.target import open_target
from longdream.datasets.verify import verify
from longdream.tests.datasets.convert_toys import Silent
from longdream.tests.datasets.dataset_toys import contents, toy_episode, toy_info, write_toy
from longdream.tests.datasets.range_server import serve
from longdream.tests.datasets.remote_toys import Watched, stored


@pytest.fixture(autouse=True)
def scratch(tmp_path_factory, monkeypatch):
    """Let the scratch folder be one of this test's own, and see that nothing is left there."""
    folder = tmp_path_factory.mktemp("scratch")
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    yield
    assert contents(folder) == {}


def empty(before=lambda request: None):
    return RemoteFolder(Watched(MemoryStore(), before), "data/toy", "memory://")


def make(folder, info):
    """Make what is missing, as `collect` does."""
    begin(folder, info)
    set_damaged_aside(folder, info, Silent())
    for what in missing_shards(folder, info):
        open_target(folder).write_shard(info, what, (toy_episode(e) for e in range(*what)))
    finish(folder, info)


def on_disk(root, episodes):
    write_toy(root, episodes)
    return contents(root)


def test_the_objects_are_the_files_of_a_disk_and_the_manifest_comes_last(tmp_path):
    folder = empty()
    make(folder, toy_info(10))
    assert stored(folder) == on_disk(tmp_path, 10)
    puts = [
        request.path.split("/", 3)[3]
        for request in folder.store.requests
        if request.verb == "put" and "shards" in request.path
    ]
    for shard in ("000000-000004", "000004-000008", "000008-000010"):
        mine = [path for path in puts if path.startswith(shard)]
        assert mine.index(f"{shard}/{MANIFEST}") == len(mine) - 1 > 20
    make(folder, toy_info(10))
    assert not [request for request in folder.store.requests[-20:] if request.verb == "delete"]


@pytest.mark.parametrize("survive", [0, 1, 5, 15, 28, 29])
def test_an_upload_that_dies_leaves_nothing_that_reads_as_a_shard(tmp_path, survive):
    """The dataset.json is the first object; then so many of the shard's 30 arrive."""
    puts = 0

    def die(request):
        nonlocal puts
        puts += request.verb == "put"
        if request.verb == "put" and puts > 1 + survive:
            raise GenericError("the network is gone")

    folder = empty(die)
    with pytest.raises(OSError, match="the network is gone"):
        make(folder, toy_info(4))
    assert committed(folder, toy_info(4)) == []
    assert len(EpisodeDataset(folder)) == 0
    assert 1 <= len(stored(folder)) <= 1 + survive
    folder.store.before = lambda request: None
    make(folder, toy_info(4))
    assert stored(folder) == on_disk(tmp_path, 4)


def test_only_one_of_two_writers_wins_and_its_shard_is_whole(tmp_path):
    """Both have put their files before either puts its manifest."""
    both = threading.Barrier(2, timeout=30)

    def meet(request):
        if request.verb == "put" and request.path.endswith(MANIFEST):
            both.wait()

    folder, info, won = empty(meet), toy_info(4), []
    begin(folder, info)

    def write():
        won.append(open_target(folder).write_shard(info, ShardRange(0, 4), (toy_episode(e) for e in range(4))))

    writers = [threading.Thread(target=write) for _ in range(2)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert sorted(won) == [False, True]
    assert stored(folder) == on_disk(tmp_path, 4)
    assert verify(folder) == []


def test_who_comes_when_the_shard_is_there_sends_nothing(tmp_path):
    folder, info = empty(), toy_info(4)
    make(folder, info)
    folder.store.counts()
    assert not open_target(folder).write_shard(info, ShardRange(0, 4), (toy_episode(e) for e in range(4)))
    assert folder.store.counts() == {"head": 1}


def test_the_description_is_created_once_and_another_data_set_is_refused():
    folder = empty()
    target = open_target(folder)
    assert target.write_info(toy_info(4), replace=False)
    assert not target.write_info(toy_info(8), replace=False)
    assert EpisodeDataset(folder).info.episodes == 4
    assert target.write_info(toy_info(8), replace=True)
    assert EpisodeDataset(folder).info.episodes == 8
    with pytest.raises(ValueError, match="memory:///data/toy holds another data set: seed is 0, not 1"):
        begin(folder, toy_info(8, seed=1))


def test_it_grows_and_the_smaller_tail_shard_is_removed(tmp_path):
    folder = empty()
    make(folder, toy_info(6))
    make(folder, toy_info(7))
    assert [place.range for place in committed(folder, toy_info(7))] == [(0, 4), (4, 7)]
    assert stored(folder) == on_disk(tmp_path, 7)
    deleted = [request.path for request in folder.store.requests if request.verb == "delete"]
    assert deleted[0].endswith(f"000004-000006/{MANIFEST}")  # from then on nobody takes what is left for a shard


def test_a_damaged_shard_is_set_aside_and_made_again(tmp_path):
    folder, file = empty(), "shards/000004-000008/image/c/0/0/0/0"
    make(folder, toy_info(8))
    whole, data = stored(folder), bytearray(folder.read(file))
    data[100] ^= 1
    folder.store.put(folder.path(file), bytes(data))
    assert len(verify(folder)) == 1
    make(folder, toy_info(8))
    found = stored(folder)
    assert {path: value for path, value in found.items() if not path.startswith("damaged")} == whole
    assert sum(path.startswith("damaged/000004-000008.") for path in found) == 30
    assert bytes(data) in found.values()


def test_a_conversion_into_a_store_and_back_keeps_every_byte(tmp_path):
    write_toy(tmp_path / "toy", 6)
    folder = empty()
    into_store(StoredEpisodes(tmp_path / "toy"), folder, Silent())
    into_store(StoredEpisodes(folder), tmp_path / "back", Silent())
    assert stored(folder) == contents(tmp_path / "toy") == contents(tmp_path / "back")
    into_store(StoredEpisodes(tmp_path / "toy"), folder, Silent())  # again: nothing to do
    assert stored(folder) == contents(tmp_path / "toy")


def test_a_folder_on_disk_can_be_written_by_its_url(tmp_path):
    url = f"{tmp_path.as_uri()}/new/toy"
    make(url, toy_info(5))
    assert contents(tmp_path / "new/toy") == on_disk(tmp_path / "disk", 5)


def test_what_a_killed_upload_left_on_this_machine_is_removed():
    target = open_target(empty())
    draft = scratch_path(target.scratch, "000000-000004")
    dead = draft.with_name(draft.name.replace(f".{os.getpid()}.", ".4194305."))  # above the largest process id
    for path in (draft, dead):
        path.mkdir(parents=True)
    target.remove_stale()
    assert list(target.scratch.iterdir()) == [draft]


def test_a_web_server_is_not_written_to(tmp_path):
    with serve(tmp_path) as served, pytest.raises(ValueError, match="a web server cannot be written to"):
        begin(served.url, toy_info(4))
