"""Tars that others have packed: in folders, without zeros, beside shards; what cannot be read as it lies is refused."""

import io
import shutil
import tarfile

import numpy as np
import pytest

from longdream.datasets import cli as commands
from longdream.datasets.convert.part import export
from longdream.datasets.convert.stored import StoredEpisodes
from longdream.datasets.convert.tars import TARS
from longdream.datasets.files import DatasetError
from longdream.datasets.info import DatasetInfo
from longdream.datasets.reader import EpisodeDataset
from longdream.datasets.tar_scan import index_tars
from longdream.datasets.verify import verify
from longdream.tests.datasets.convert_toys import Silent
from longdream.tests.datasets.dataset_toys import toy_episode, write_toy

HOLE = slice(1024, 4096)  # of the file, bytes


@pytest.fixture(scope="module")
def pristine(tmp_path_factory):
    root = tmp_path_factory.mktemp("scan")
    write_toy(root / "toy", 3)
    export(StoredEpisodes(root / "toy"), root / "tars", TARS, Silent())
    return root


@pytest.fixture
def unpacked(pristine, tmp_path):
    """Return every member {name: bytes}; `tmp_path` has the dataset.json and nothing else."""
    found = {}
    for path in (pristine / "tars").glob("*.tar"):
        with tarfile.open(path) as tar:
            found |= {member.name: tar.extractfile(member).read() for member in tar}
    shutil.copy(pristine / "tars/dataset.json", tmp_path)
    return found


def pack(path, content, sparse=""):
    """Write a tar, one of its members as `tar -S --format=pax` does: without a run of zeros."""
    with tarfile.open(path, "w", format=tarfile.PAX_FORMAT) as tar:
        for name, data in content.items():
            entry = tarfile.TarInfo(name)
            if name == sparse:
                pieces = f"0,{HOLE.start},{HOLE.stop},{len(data) - HOLE.stop}"
                entry.pax_headers = {"GNU.sparse.map": pieces, "GNU.sparse.size": str(len(data))}
                data = data[: HOLE.start] + data[HOLE.stop :]
            entry.size = len(data)
            tar.addfile(entry, io.BytesIO(data))


def test_a_sparse_member_is_refused(unpacked, tmp_path):
    name = "000001.image.npy"
    black = bytearray(unpacked[name])
    black[HOLE] = bytes(HOLE.stop - HOLE.start)
    pack(tmp_path / "a.tar", unpacked | {name: bytes(black)}, sparse=name)
    with tarfile.open(tmp_path / "a.tar") as tar:
        assert tar.extractfile(name).read() == black  # it is one that tar itself reads
    with pytest.raises(DatasetError, match=rf"a\.tar .*{name} is stored sparse: pack without -S"):
        index_tars(tmp_path, DatasetInfo.read(tmp_path))
    assert not (tmp_path / "tars.json").exists()


@pytest.mark.parametrize("folder", ["./", "run.1/tars/"])
def test_members_may_lie_in_a_folder(unpacked, tmp_path, folder):
    pack(tmp_path / "a.tar", {folder + name: data for name, data in unpacked.items()})
    index_tars(tmp_path, DatasetInfo.read(tmp_path))
    dataset = EpisodeDataset(tmp_path)
    for e in range(3):
        np.testing.assert_array_equal(dataset.read("image", e), toy_episode(e).obs)


def test_a_folder_without_a_tar_says_so(unpacked, tmp_path, call):
    code, _, err = call(commands.index_main, tmp_path)
    assert (code, err) == (2, f"index: {tmp_path} holds no tars: none of its files is called *.tar\n")


def test_a_tar_beside_shards_is_none_of_theirs(pristine, tmp_path):
    root = shutil.copytree(pristine / "toy", tmp_path / "toy")
    (root / "backup.tar").write_bytes(b"")
    assert len(EpisodeDataset(root)) == len(EpisodeDataset(root.as_uri())) == 3
    assert verify(root) == []
