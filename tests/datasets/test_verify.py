"""`verify`: every shard is checked whatever happens to the others, by as many workers as asked for."""

import json
import os
import shutil
import threading
import time

import pytest

from longdream.datasets.files import FORMAT, TooNewError, seal
from longdream.datasets.info import DatasetInfo
from longdream.datasets.manifest import check_file
from longdream.datasets.shard import committed
from longdream.datasets.verify import check_shards, shard_problems, verify
from longdream.tests.datasets.dataset_toys import write_toy


@pytest.fixture(scope="module")
def pristine(tmp_path_factory):
    root = tmp_path_factory.mktemp("verify") / "toy"
    write_toy(root, 20)
    return root


@pytest.fixture
def toy(pristine, tmp_path):
    return shutil.copytree(pristine, tmp_path / "toy")


def test_any_number_of_workers_finds_the_same_in_the_same_order(toy):
    (toy / "shards/000000-000004/reward/c/0").unlink()
    (toy / "shards/000008-000012/image/c/0/0/0/0").write_bytes(b"")
    (toy / "shards/000012-000016/manifest.json").write_text("{}")
    found = [verify(toy, workers=workers) for workers in (1, 3, None)]
    assert found[0] == found[1] == found[2]
    assert [line.split("shards/")[1].split(" ")[0] for line in found[0]] == [
        "000000-000004:",
        "000008-000012:",
        "000012-000016:",
    ]
    with pytest.raises(ValueError, match="--workers 0"):
        verify(toy, workers=0)


def test_shards_are_checked_side_by_side(toy):
    """Two checks meet at a barrier, which a single worker would wait at for ever."""
    info, barrier = DatasetInfo.read(toy), threading.Barrier(2)

    def check(place, info):
        barrier.wait(timeout=20)
        return []

    places = committed(toy, info)[:4]
    assert [checked.place for checked in check_shards(places, info, check, workers=2)] == places


def test_progress_counts_every_shard(toy):
    steps = []
    assert verify(toy, lambda done, total: steps.append((done, total))) == []
    assert steps == [(done, 5) for done in range(1, 6)]


def test_who_stops_listening_stops_the_checking(toy):
    """Ctrl-C must not wait for the rest of 100 GB."""
    info, begun = DatasetInfo.read(toy), []

    def check(place, info):
        begun.append(place)
        time.sleep(0.02)
        return []

    places = committed(toy, info) * 20
    checks = check_shards(places, info, check, workers=1)
    next(checks)
    checks.close()
    assert len(begun) < 5


def test_a_file_that_cannot_be_read_is_named_and_the_rest_is_checked(toy, monkeypatch):
    """A bad sector: the other shards are checked all the same, and nothing is called damaged that may be whole."""

    def bad_sector(folder, name, record, thorough):
        if folder.name == "000004-000008" and name == "reward/c/0":
            raise OSError(5, os.strerror(5))
        check_file(folder, name, record, thorough)

    monkeypatch.setattr("longdream.datasets.verify.check_file", bad_sector)
    (toy / "shards/000016-000020/reward/c/0").unlink()
    found = verify(toy)
    assert len(found) == 2
    assert found[0].endswith("000004-000008: reward/c/0 cannot be read: Input/output error")
    assert "000016-000020: reward/c/0 is missing" in found[1]
    info = DatasetInfo.read(toy)
    with pytest.raises(OSError, match="000004-000008: reward/c/0"):  # who would make it anew is told, and stops
        shard_problems(committed(toy, info)[1], info)


def test_a_shard_of_a_newer_version_is_reported_but_never_taken_for_damaged(toy):
    path = toy / "shards/000004-000008/manifest.json"
    plain = json.loads(path.read_text())
    plain.pop("crc32c")
    path.write_text(seal({**plain, "format": FORMAT + 1}))
    (line,) = verify(toy)
    assert f"000004-000008: manifest.json has format {FORMAT + 1}" in line
    info = DatasetInfo.read(toy)
    with pytest.raises(TooNewError):
        shard_problems(committed(toy, info)[1], info)
