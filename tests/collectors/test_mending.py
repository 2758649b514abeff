"""`collect` after damage: exactly the shards that `verify` names are made anew, to the same bytes; nothing is lost."""

import json
import os

import google_crc32c
import pytest

from longdream.collectors.cli import main
from longdream.datasets.cli import verify_main
from longdream.datasets.files import FORMAT, seal, unseal
from longdream.datasets.folder import LocalFolder
from longdream.datasets.info import NEWEST
from longdream.datasets.reader import EpisodeDataset
from longdream.datasets.verify import verify
from longdream.tests.datasets.dataset_toys import contents

WORDS = ["--env", "distracting_memory", "--width", "14", "--per-shard", "2", "--workers", "1", "--n", "12"]


@pytest.fixture
def root(tmp_path):
    main([*WORDS, "--out", str(tmp_path / "dm")])
    return tmp_path / "dm"


def collect_again(root):
    main([*WORDS, "--out", str(root)])


def flip(path, place):
    data = bytearray(path.read_bytes())
    data[place] ^= 1
    path.write_bytes(data)


def inodes(root):
    return {path: (path.stat().st_ino, path.stat().st_mtime_ns) for path in (root / "shards").glob("*")}


def test_exactly_what_verify_names_is_made_anew(root, monkeypatch, capsys):
    wanted, before = contents(root / "shards"), inodes(root)
    shards = sorted((root / "shards").iterdir())
    flip(next(shards[0].rglob("image/c/0/0/0/0")), 300)
    (shards[2] / "reward/c/0").write_bytes(b"")
    manifest = unseal(LocalFolder(shards[3]), "manifest.json", "")  # the files agree, but not with what they decode to
    (shards[3] / "manifest.json").write_text(seal({**manifest, "digests": manifest["digests"] | {"image": 1}}))
    os.rename(shards[5], root / "lost")
    monkeypatch.setattr("sys.argv", ["longdream", str(root), "--workers", "2"])
    with pytest.raises(SystemExit) as stop:
        verify_main()
    assert stop.value.code == 1
    said = capsys.readouterr().err
    named = {shard.name for shard in shards if shard.name in said}
    assert named == {shards[place].name for place in (0, 2, 3, 5)}
    collect_again(root)
    assert contents(root / "shards") == wanted
    made = {path.name for path, state in inodes(root).items() if state != before[path]}
    assert made == named
    assert {path.name.split(".")[0] for path in (root / "damaged").iterdir()} == named - {shards[5].name}
    assert verify(root) == []


def test_what_a_dead_collector_left_is_ignored_and_cleaned(root):
    wanted = contents(root / "shards")
    host = f"{google_crc32c.value(os.uname().nodename.encode()):08x}"
    half = root / "tmp" / f"000000-000002.{host}.4194305.0123abcd"  # no process has this number
    (half / "image").mkdir(parents=True)
    (half / "image/zarr.json").write_text("{")
    assert len(EpisodeDataset(root)) == 12
    assert verify(root) == []
    collect_again(root)
    assert not list((root / "tmp").iterdir())
    assert contents(root / "shards") == wanted


@pytest.mark.parametrize(
    ("file", "newer"), [("dataset.json", NEWEST + 1), ("shards/000004-000006/manifest.json", FORMAT + 1)]
)
def test_a_newer_version_is_refused_and_its_shards_are_not_thrown_out(root, capsys, file, newer):
    plain = json.loads((root / file).read_text())
    plain.pop("crc32c")
    (root / file).write_text(seal({**plain, "format": newer}))
    before = contents(root)
    capsys.readouterr()
    with pytest.raises(SystemExit) as stop:
        collect_again(root)
    assert stop.value.code == 2
    (line,) = [x for x in capsys.readouterr().err.splitlines() if x.startswith("collect: ") and "%|" not in x]
    assert f"has format {newer}" in line
    assert "upgrade" in line
    assert contents(root) == before
