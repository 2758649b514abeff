"""Writing shards: what is written comes back, zarr reads it too, and nothing is ever half there."""

import dataclasses
import errno
import gc
import os
import resource
import socket
import time
import warnings

import google_crc32c
import numpy as np
import pytest
import zarr
from zarr.codecs import ZstdCodec

from longdream.datasets import store
from longdream.datasets.episode import ArraySpec, Episode
from longdream.datasets.files import remove_stale, scratch
from longdream.datasets.info import ShardRange, episodes_per_shard
from longdream.datasets.reader import EpisodeDataset
from longdream.datasets.splits import Splits
from longdream.tests.datasets.dataset_toys import ARRAYS, CHUNK, contents, toy_episode, toy_info, toy_length, write_toy


def assert_equal(found: Episode, wanted: Episode) -> None:
    for field in dataclasses.fields(Episode):
        if field.name != "extras":
            np.testing.assert_array_equal(getattr(found, field.name), getattr(wanted, field.name), field.name)
    assert found.extras.keys() == wanted.extras.keys()
    for name, value in wanted.extras.items():
        np.testing.assert_array_equal(found.extras[name], value, name)


def test_every_episode_comes_back(tmp_path):
    write_toy(tmp_path / "toy", 10)
    dataset = EpisodeDataset(tmp_path / "toy")
    assert dataset.indices.tolist() == list(range(10))
    assert dataset.lengths.tolist() == [toy_length(e) for e in range(10)]
    for e in range(10):
        assert_equal(dataset.episode(e), toy_episode(e))


def test_the_same_episodes_give_the_same_bytes(tmp_path):
    write_toy(tmp_path / "a", 5)
    time.sleep(0.01)
    write_toy(tmp_path / "b", 5)
    assert contents(tmp_path / "a") == contents(tmp_path / "b")


def test_image_file_is_the_one_zarr_writes(tmp_path):
    """The direct writer makes zarr's bytes: data file and metadata."""
    write_toy(tmp_path / "toy", 4)
    shard = tmp_path / "toy/shards/000000-000004"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # zarr remarks on the manifest
        values = zarr.open_group(shard, mode="r")["image"][:]
    theirs = zarr.create_group(tmp_path / "zarr").create_array(
        "image",
        shape=values.shape,
        dtype=values.dtype,
        chunks=(CHUNK, *values.shape[1:]),
        shards=values.shape,
        compressors=ZstdCodec(level=3, checksum=True),
        fill_value=0,
        config={"write_empty_chunks": True},
    )
    theirs[:] = values
    assert contents(shard / "image") == contents(tmp_path / "zarr/image")


def test_zarr_alone_can_read_a_shard(tmp_path):
    write_toy(tmp_path / "toy", 4)
    group = zarr.open_group(tmp_path / "toy/shards/000000-000004", mode="r")
    for e in range(4):
        offset, length = int(group["offset"][e]), int(group["length"][e])
        assert offset % CHUNK == 0
        episode = toy_episode(e)
        np.testing.assert_array_equal(group["image"][offset : offset + length], episode.obs)
        np.testing.assert_array_equal(group["agent_pos"][offset : offset + length], episode.extras["agent_pos"])
        assert int(group["seed"][e]) == episode.seed


def test_an_episode_is_one_run_of_bytes(tmp_path):
    write_toy(tmp_path / "toy", 4)
    shard = EpisodeDataset(tmp_path / "toy")._pieces[0]
    index = shard.big["image"].index
    assert (index[1:, 0] == index[:-1].sum(1)).all()
    assert len(index) * CHUNK == shard.steps == sum(-(-toy_length(e) // CHUNK) * CHUNK for e in range(4))


def test_black_frames_are_stored_and_come_back(tmp_path):
    """zarr would store no chunk for zeros, which is what a lost chunk looks like."""
    info = toy_info(1)
    (tmp_path / "tmp").mkdir()
    store.write_info(tmp_path, info, replace=False)
    black = toy_episode(0, 20)
    black.obs[:] = 0
    black.reward[:] = 0
    store.write_shard(tmp_path, info, ShardRange(0, 1), [black])
    assert_equal(EpisodeDataset(tmp_path).episode(0), black)
    assert (tmp_path / "shards/000000-000001/reward/c/0").exists()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"reward": np.zeros(30)}, "'reward' of episode 0 is float64"),
        ({"obs": np.zeros((30, 20, 21, 3), np.uint8)}, r"\(30, 20, 21, 3\)"),
        ({"extras": {}}, "agent_pos, layout"),
    ],
)
def test_an_episode_that_does_not_fit_is_refused(tmp_path, change, message):
    bad = dataclasses.replace(toy_episode(0, 30), **change)
    with pytest.raises(ValueError, match=message):
        store.write_shard(tmp_path, toy_info(1), ShardRange(0, 1), [bad])
    assert contents(tmp_path) == {}


def test_an_environment_cannot_take_the_shards_own_names(tmp_path):
    info = toy_info(1, arrays={"length": ArraySpec("int32", ())})
    with pytest.raises(ValueError, match="'length'"):
        store.write_shard(tmp_path, info, ShardRange(0, 1), [])


@pytest.mark.parametrize("place", ["ChunkedWriter.append", "flush_all", "record_files"])
def test_disk_full_leaves_nothing_and_a_second_try_completes(tmp_path, monkeypatch, place):
    def full(*arguments):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(f"longdream.datasets.store.{place}", full)
        with pytest.raises(OSError, match="No space left"):
            store.write_shard(tmp_path / "toy", toy_info(1), ShardRange(0, 1), [toy_episode(0)])
    assert contents(tmp_path) == {}
    write_toy(tmp_path / "other", 1)
    assert store.write_shard(tmp_path / "toy", toy_info(1), ShardRange(0, 1), [toy_episode(0)])
    assert contents(tmp_path / "toy/shards") == contents(tmp_path / "other/shards")


def test_a_disk_that_fills_up_in_the_middle_of_a_file(tmp_path):
    """The system itself cuts a write short, with both big arrays open: no file, no half shard, no open file is left."""
    info = toy_info(1, arrays=ARRAYS | {"depth": ArraySpec("float32", (20, 20))})
    episode = toy_episode(0, 400)
    episode = dataclasses.replace(episode, extras=episode.extras | {"depth": np.ones((400, 20, 20), np.float32)})
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, limits[1]))
    try:
        with pytest.raises(OSError, match="too large"):
            store.write_shard(tmp_path / "toy", info, ShardRange(0, 1), [episode])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    gc.collect()  # a file left open would be noticed here
    assert contents(tmp_path) == {}
    assert store.write_shard(tmp_path / "toy", info, ShardRange(0, 1), [episode])


def test_the_slower_of_two_writers_leaves_the_faster_ones_shard(tmp_path):
    info = write_toy(tmp_path, 4)
    before = contents(tmp_path)
    assert not store.write_shard(tmp_path, info, ShardRange(0, 4), (toy_episode(e) for e in range(4)))
    assert contents(tmp_path) == before
    assert not list((tmp_path / "tmp").iterdir())


def test_info_is_written_once_unless_replaced(tmp_path):
    info = write_toy(tmp_path, 4)
    assert not store.write_info(tmp_path, toy_info(9), replace=False)
    assert EpisodeDataset(tmp_path).info == info
    assert store.write_info(tmp_path, toy_info(9), replace=True)
    assert EpisodeDataset(tmp_path).info.episodes == 9


def test_only_what_dead_writers_left_is_removed(tmp_path):
    host = f"{google_crc32c.value(socket.gethostname().encode()):08x}"
    dead, foreign = tmp_path / f"000000-000004.{host}.4194305.0123abcd", tmp_path / "x.00000000.1.0123abcd"
    old = tmp_path / "y.00000000.1.0123abcd"
    alive, other = scratch(tmp_path, "000004-000008"), tmp_path / "notes"
    for folder in (dead, foreign, old, alive, other):
        folder.mkdir()
    os.utime(old, (0, 0))
    assert remove_stale(tmp_path) == 2
    assert sorted(tmp_path.iterdir()) == sorted([foreign, alive, other])


def test_shards_hold_200_megabytes_but_8_to_128_episodes():
    arrays = {"image": ArraySpec("uint8", (64, 64, 3))}
    assert episodes_per_shard(arrays, 1001) == int(200e6 // (1001 * 64 * 64 * 3)) == 16
    assert episodes_per_shard(arrays, 10) == 128
    assert episodes_per_shard(arrays, 5000) == 8


def test_growing_never_moves_an_episode_between_splits():
    splits = Splits.from_ratio(28, 1, 1)
    assert splits.select("test", np.arange(60)).tolist() == [28, 58]
    assert splits.select("validation", np.arange(60)).tolist() == [29, 59]
    assert str(splits) == "28/1/1"
    assert Splits.from_ratio(80, 10, 10) == Splits.from_ratio(8, 1, 1)
    assert Splits.from_json(splits.to_json()) == splits
    for name in ("train", "validation", "test"):
        small = splits.select(name, np.arange(35))
        assert np.isin(small, splits.select(name, np.arange(90))).all()
    with pytest.raises(ValueError, match="train, validation, test, all"):
        splits.select("valid", np.arange(3))


def test_differences_name_both_values():
    info = toy_info(4)
    assert info.differences(toy_info(8)) == []
    assert info.differences(toy_info(4, options={"width": 20})) == ["width is 12, not 20"]
    assert info.differences(toy_info(4, seed=1)) == ["seed is 0, not 1"]
    assert info.differences(toy_info(4, splits=Splits.from_ratio(1, 0, 0))) == ["split is 8/1/1, not 1/0/0"]
    assert info.differences(toy_info(4, environment="x")) == ["environment is toy, not x"]
    assert "chunk is 10, not 50" in info.differences(toy_info(4, chunk=50))


def test_memory_holds_one_episode_not_the_shard(tmp_path):
    """Episodes are taken one by one, and each one's frames are on disk before the next is asked for."""
    written = []

    def episodes():
        for e in range(4):
            yield toy_episode(e, 30)
            (draft,) = (tmp_path / "tmp").iterdir()
            written.append((draft / "image/c/0/0/0/0").stat().st_size)

    store.write_shard(tmp_path, toy_info(4), ShardRange(0, 4), episodes())
    assert 0 < written[0] < written[1] < written[-1]
