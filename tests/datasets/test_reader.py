"""Reading: equal to zarr's own reader, in any thread or process, and clear about what is not there."""

import multiprocessing
import shutil
import warnings
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import zarr

from longdream.datasets import shard as shard_module
from longdream.datasets.info import ShardRange
from longdream.datasets.reader import EpisodeDataset
from longdream.datasets.store import write_info, write_shard
from longdream.tests.datasets.dataset_toys import read_sums, toy_episode, toy_info, toy_length, write_toy


@pytest.fixture(scope="module")
def toy(tmp_path_factory):
    root = tmp_path_factory.mktemp("reader") / "toy"
    write_toy(root, 10)
    return root


@pytest.mark.parametrize("name", ["image", "action", "reward", "agent_pos", "is_first"])
def test_random_windows_equal_zarrs(toy, name):
    rng = np.random.default_rng(0)
    dataset = EpisodeDataset(toy)
    arrays = {}
    for place in shard_module.committed(toy, dataset.info):
        group = zarr.open_group(str(place.folder), mode="r")
        arrays[place.range.first] = group[name], group["offset"][:]
    for _ in range(40):
        e = int(rng.integers(10))
        start, stop = sorted(int(x) for x in rng.integers(toy_length(e) + 1, size=2))
        theirs, offsets = arrays[e // 4 * 4]
        window = theirs[offsets[e % 4] + start : offsets[e % 4] + stop]
        ours = dataset.read(name, e, start, stop)
        assert ours.dtype == window.dtype
        np.testing.assert_array_equal(ours, window)


def test_out_is_filled_in_place(toy):
    dataset = EpisodeDataset(toy)
    rows = np.full((2, 25, 20, 20, 3), 255, np.uint8)
    assert dataset.read("image", 5, 3, 28, out=rows[1]).base is rows
    np.testing.assert_array_equal(rows[1], toy_episode(5).obs[3:28])
    assert (rows[0] == 255).all()
    for bad in (rows[0, :24], rows[0].astype(np.int8), rows[:, :, :, :, 0].T[:, :25]):
        with pytest.raises(ValueError, match="`out` is"):
            dataset.read("image", 5, 3, 28, out=bad)


def test_what_is_not_there_is_a_clear_error(toy):
    dataset = EpisodeDataset(toy)
    with pytest.raises(ValueError, match=r"episode 10 is not in .* holds 10 of 10"):
        dataset.read("image", 10)
    with pytest.raises(ValueError, match="episode -1"):
        dataset.length(-1)
    with pytest.raises(ValueError, match="steps 0 to 99 are not in episode 0, which has 21"):
        dataset.read("image", 0, 0, 99)
    with pytest.raises(ValueError, match=r"'depth'.*image"):
        dataset.read("depth", 0)
    with pytest.raises(ValueError, match="'image' with one value an episode; there are context"):
        dataset.value("image", 0)
    with pytest.raises(ValueError, match="train, validation, test, all"):
        dataset.split("trian")


def test_splits_and_values(toy):
    dataset = EpisodeDataset(toy)
    assert dataset.split("train").tolist() == list(range(8))
    assert dataset.split("test").tolist() == [8]
    assert dataset.split("validation").tolist() == [9]
    assert dataset.split("all").tolist() == list(range(10))
    assert dataset.value("seed", 7) == 2**63 + 7
    np.testing.assert_array_equal(dataset.value("layout", 7), toy_episode(7).extras["layout"])
    assert dataset.read("reward", 3, 4, 4).shape == (0,)


def test_holes_keep_the_episodes_indices(toy, tmp_path):
    root = shutil.copytree(toy, tmp_path / "toy")
    shutil.rmtree(root / "shards/000004-000008")
    dataset = EpisodeDataset(root)
    assert dataset.indices.tolist() == [0, 1, 2, 3, 8, 9]
    assert dataset.lengths.tolist() == [toy_length(e) for e in dataset.indices]
    np.testing.assert_array_equal(dataset.read("image", 9), toy_episode(9).obs)
    with pytest.raises(ValueError, match="episode 5 is not in"):
        dataset.read("image", 5)
    shutil.rmtree(root / "shards")
    assert len(EpisodeDataset(root)) == 0


def test_a_shard_covered_by_a_larger_one_is_ignored(tmp_path):
    write_toy(tmp_path, 6)
    write_info(tmp_path, toy_info(7), replace=True)
    write_shard(tmp_path, toy_info(7), ShardRange(4, 7), (toy_episode(e) for e in range(4, 7)))
    (tmp_path / "shards/000004-000006/manifest.json").unlink()  # even a half-removed one
    assert EpisodeDataset(tmp_path).indices.tolist() == list(range(7))


@pytest.mark.parametrize("method", ["spawn", "fork"])
def test_other_processes_read_through_a_dataset_that_was_already_used(toy, method):
    dataset = EpisodeDataset(toy)
    wanted = read_sums(dataset)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # newer Pythons dislike fork beside threads
        with multiprocessing.get_context(method).Pool(1) as pool:
            assert pool.apply_async(read_sums, (dataset,)).get(timeout=60) == wanted


@pytest.mark.parametrize("limit", [0, 1000, 1e9])  # bytes: nothing is kept, arrays throw each other out, all is kept
def test_threads_share_a_dataset(toy, limit):
    dataset = EpisodeDataset(toy)
    dataset.cache.limit = limit
    jobs = [(name, e) for _ in range(10) for name in ("image", "reward", "agent_pos") for e in range(10)]
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda job: dataset.read(*job), jobs))
    for (name, e), values in zip(jobs, found, strict=True):
        np.testing.assert_array_equal(values, toy_episode(e).named("image")[name])
