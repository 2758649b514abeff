"""`collect` into an object store: the bytes of a disk, also when it goes on; and mistakes are one line."""

import tempfile

import pytest

from longdream.collectors.cli import main
from longdream.tests.datasets.dataset_toys import contents

BASE = ["--env", "distracting_memory", "--width", "14", "--per-shard", "4"]


def collect(out, n, workers):
    main([*BASE, "--n", str(n), "--workers", str(workers), "--out", str(out)])


def test_the_shards_are_those_of_a_disk(tmp_path, monkeypatch, capsys):
    (tmp_path / "scratch").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "scratch"))
    monkeypatch.setenv("TMPDIR", str(tmp_path / "scratch"))  # the workers'
    url = f"{(tmp_path / 'far').as_uri()}/dm"
    collect(tmp_path / "near", 8, 1)
    collect(url, 6, 1)
    (tmp_path / "far/dm/shards/000000-000004/reward/c/0").unlink()
    collect(url, 8, 2)
    assert f"{url} holds 8 of 8 episodes" in capsys.readouterr().out
    assert contents(tmp_path / "far/dm/shards") == contents(tmp_path / "near/shards")
    assert len(list((tmp_path / "far/dm/damaged").iterdir())) == 1
    assert contents(tmp_path / "scratch") == {}


def test_mistakes_are_one_line(tmp_path, capsys):
    (tmp_path / "file").write_text("")
    for out, problem in (
        ("foo://bucket/x", "collect: foo://bucket/x cannot be used: "),
        (f"{tmp_path.as_uri()}/file/x", f"collect: cannot write to {tmp_path.as_uri()}/file/x: "),
    ):
        with pytest.raises(SystemExit) as stop:
            collect(out, 4, 1)
        assert stop.value.code == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert line.startswith(problem)
