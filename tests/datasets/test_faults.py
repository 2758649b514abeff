"""Damage is never silent: it raises at open or at reading, naming the shard and the file, or `verify` reports it."""

import json
import shutil

import google_crc32c
import numpy as np
import pytest
from numcodecs.zstd import Zstd

from longdream.datasets.chunked import ABSENT
from longdream.datasets.files import FORMAT, DatasetError, seal, unseal
from longdream.datasets.folder import LocalFolder
from longdream.datasets.info import NEWEST
from longdream.datasets.manifest import Manifest, record_files
from longdream.datasets.reader import EpisodeDataset
from longdream.datasets.verify import verify
from longdream.tests.datasets.dataset_toys import contents, toy_episode, write_toy

SHARD = "000004-000008"
IMAGE = "image/c/0/0/0/0"


@pytest.fixture(scope="module")
def pristine(tmp_path_factory):
    root = tmp_path_factory.mktemp("pristine") / "toy"
    write_toy(root, 8)
    return root


@pytest.fixture
def toy(pristine, tmp_path):
    return shutil.copytree(pristine, tmp_path / "toy")


def cut(path):
    path.write_bytes(path.read_bytes()[:-1])


FAULTS = {
    "missing": lambda path: path.unlink(),
    "empty": lambda path: path.write_bytes(b""),
    "truncated": cut,
    "oversized": lambda path: path.write_bytes(path.read_bytes() + b"\0"),
}


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("file", [IMAGE, "image/zarr.json", "reward/c/0", "zarr.json", "offset/c/0", "manifest.json"])
def test_a_file_that_is_not_whole_raises_at_open(toy, file, fault):
    FAULTS[fault](toy / "shards" / SHARD / file)
    with pytest.raises(DatasetError, match=rf"{SHARD}: {file} "):
        EpisodeDataset(toy)
    problems = verify(toy)
    assert len(problems) == 1
    assert f"{SHARD}: {file} " in problems[0]


def test_no_bit_flip_is_silent(toy, pristine):
    """64 seeded flips over all files of a shard, half of them in the frames: each raises, or `verify` reports it."""
    rng = np.random.default_rng(0)
    whole = EpisodeDataset(pristine)
    files = sorted(contents(toy / "shards" / SHARD))
    messages = []
    for trial in range(64):
        path = toy / "shards" / SHARD / (IMAGE if trial % 2 else files[trial // 2 % len(files)])
        name = str(path.relative_to(toy / "shards" / SHARD))
        before = path.read_bytes()
        after = bytearray(before)
        after[rng.integers(len(after))] ^= 1 << rng.integers(8)
        path.write_bytes(after)
        try:
            dataset = EpisodeDataset(toy)
            for e in range(4, 8):  # a flip may do no harm to what is read, but it must never change it
                np.testing.assert_array_equal(dataset.read("image", e), whole.read("image", e))
        except DatasetError as error:
            messages.append((str(error), name))
        assert any(f"{SHARD}: {name}" in problem for problem in verify(toy)), (trial, name)
        path.write_bytes(before)
    assert len(messages) >= 60
    assert all(f"{SHARD}: {name}" in message for message, name in messages)
    assert verify(toy) == []


def test_every_bit_of_a_chunks_header_matters_or_is_harmless(toy):
    """zstd's frame header says how much it holds, and whether it carries a checksum: no lie of it gets through."""
    dataset, path = EpisodeDataset(toy), toy / "shards" / SHARD / IMAGE
    before, harmless = path.read_bytes(), []
    for bit in range(8 * 14):
        after = bytearray(before)
        after[bit // 8] ^= 1 << bit % 8
        path.write_bytes(after)
        try:
            np.testing.assert_array_equal(dataset.read("image", 4), toy_episode(4).obs)
            harmless.append(bit)
        except DatasetError as error:
            assert f"{SHARD}: {IMAGE} is damaged in chunk 0" in str(error)  # noqa: PT017 (it may also not raise)
    assert harmless == [8 * 4 + 4]  # the format's unused bit


@pytest.mark.parametrize("fault", FAULTS)
def test_a_description_that_is_not_whole_raises_at_open(toy, fault):
    FAULTS[fault](toy / "dataset.json")
    with pytest.raises(DatasetError, match=r"dataset\.json"):
        EpisodeDataset(toy)


def rewrite_manifest(shard, **changes):
    """Let the manifest agree with the shard's files as they are now."""
    plain = unseal(LocalFolder(shard), "manifest.json", "")
    (shard / "manifest.json").unlink()
    (shard / "manifest.json").write_text(seal({**plain, "files": record_files(shard), **changes}))


def test_a_small_array_of_another_length_raises(toy):
    shard = toy / "shards" / SHARD
    (shard / "reward/c/0").write_bytes(Zstd(checksum=True).encode(np.zeros(7, np.float32)))
    rewrite_manifest(shard)  # even if everything else agrees
    with pytest.raises(DatasetError, match=f"{SHARD}: reward/c/0 is damaged"):
        EpisodeDataset(toy).read("reward", 5)


def test_an_absent_chunk_raises_instead_of_reading_as_zeros(toy):
    shard = toy / "shards" / SHARD
    data = bytearray((shard / IMAGE).read_bytes())
    chunks = len(EpisodeDataset(toy)._pieces[1].big["image"].index)
    index = np.frombuffer(data[-16 * chunks - 4 : -4], "<u8").reshape(chunks, 2).copy()
    index[2] = ABSENT
    data[-16 * chunks - 4 :] = index.tobytes() + google_crc32c.value(index.tobytes()).to_bytes(4, "little")
    (shard / IMAGE).write_bytes(data)
    rewrite_manifest(shard)  # even if everything else agrees
    with pytest.raises(DatasetError, match=f"{SHARD}: {IMAGE} lacks chunk 2"):
        EpisodeDataset(toy)


def test_chunks_that_do_not_follow_each_other_raise(toy):
    shard = toy / "shards" / SHARD
    data = bytearray((shard / IMAGE).read_bytes())
    chunks = len(EpisodeDataset(toy)._pieces[1].big["image"].index)
    index = np.frombuffer(data[-16 * chunks - 4 : -4], "<u8").reshape(chunks, 2)[::-1].copy()
    data[-16 * chunks - 4 :] = index.tobytes() + google_crc32c.value(index.tobytes()).to_bytes(4, "little")
    (shard / IMAGE).write_bytes(data)
    rewrite_manifest(shard)
    with pytest.raises(DatasetError, match="do not follow"):
        EpisodeDataset(toy)


def test_values_that_are_not_those_written_are_found_by_their_digest(toy):
    shard = toy / "shards" / SHARD
    digests = Manifest.read(LocalFolder(shard)).digests
    rewrite_manifest(shard, digests=digests | {"image": 1, "reward": 2})
    EpisodeDataset(toy)
    problems = verify(toy)
    assert [problem.split(" decodes")[0][-6:] for problem in problems] == [" image", "reward"]


def test_a_file_lost_after_opening_raises(toy):
    dataset = EpisodeDataset(toy)
    (toy / "shards" / SHARD / IMAGE).unlink()
    (toy / "shards" / SHARD / "reward/c/0").unlink()
    for name in ("image", "reward"):
        with pytest.raises(DatasetError, match=f"{SHARD}: {name}.* is missing"):
            dataset.read(name, 5)


def test_a_shard_of_another_data_set_or_name_is_noticed(toy, tmp_path):
    write_toy(tmp_path / "other", 8, seed=1)
    shutil.rmtree(toy / "shards" / SHARD)
    shutil.copytree(tmp_path / "other/shards" / SHARD, toy / "shards" / SHARD)
    with pytest.raises(DatasetError, match=f"{SHARD}.*another data set"):
        EpisodeDataset(toy)
    shutil.rmtree(toy / "shards" / SHARD)
    shutil.copytree(toy / "shards/000000-000004", toy / "shards" / SHARD)
    with pytest.raises(DatasetError, match="renamed"):
        EpisodeDataset(toy)
    (toy / "shards" / SHARD).rename(toy / "shards/000002-000008")
    with pytest.raises(DatasetError, match="000002-000008 is no shard"):
        EpisodeDataset(toy)


def test_a_newer_format_is_refused(toy):
    for path, newest in ((toy / "shards" / SHARD / "manifest.json", FORMAT), (toy / "dataset.json", NEWEST)):
        plain = json.loads(path.read_text())
        plain.pop("crc32c")
        path.write_text(seal({**plain, "format": newest + 1}))
        with pytest.raises(DatasetError, match=rf"{path.name} has format {newest + 1}.*upgrade"):
            EpisodeDataset(toy)


def test_an_edited_description_is_refused(toy):
    text = (toy / "dataset.json").read_text()
    (toy / "dataset.json").write_text(text.replace('"seed": 0', '"seed": 1'))
    with pytest.raises(DatasetError, match=r"dataset\.json is damaged.*checksum.*remove it and run the same"):
        EpisodeDataset(toy)
    (toy / "dataset.json").write_text("[1, 2")
    with pytest.raises(DatasetError, match=r"dataset\.json is damaged"):
        EpisodeDataset(toy)


def test_what_is_no_data_set_is_said_to_be_none(tmp_path):
    with pytest.raises(DatasetError, match="is no folder"):
        EpisodeDataset(tmp_path / "nowhere")
    with pytest.raises(DatasetError, match=r"no dataset\.json"):
        EpisodeDataset(tmp_path)


def test_a_missing_shard_is_reported_by_verify(toy):
    shutil.rmtree(toy / "shards" / SHARD)
    assert EpisodeDataset(toy).indices.tolist() == [0, 1, 2, 3]
    problems = verify(toy)
    assert len(problems) == 1
    assert f"{SHARD} is missing" in problems[0]


def test_reading_changes_nothing_on_disk(toy):
    """So a data set on a read-only disk works (root ignores permissions: look at the folder instead)."""

    def state():
        return {path: (path.stat().st_mtime_ns, path.stat().st_size) for path in toy.rglob("*")}

    before = state()
    dataset = EpisodeDataset(toy)
    for e in dataset.indices:
        dataset.episode(int(e))
    verify(toy)
    assert state() == before
    assert len(dataset.episode(3)) == len(toy_episode(3))
