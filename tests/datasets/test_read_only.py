"""A data set on a disk that nobody may write to: it is read and checked, and what cannot be done is said in a line."""

import os
import shutil
import sys
import tempfile
from pathlib import Path

import numpy as np
import pytest

from longdream.collectors.cli import main as collect
from longdream.datasets.cli import inspect_main, verify_main
from longdream.datasets.contact_sheet import draw_contact_sheet
from longdream.datasets.reader import EpisodeDataset
from longdream.tests.datasets.dataset_toys import contents, toy_episode, write_toy

NOBODY = 65534
COLLECT = ["--env", "distracting_memory", "--width", "14", "--per-shard", "4", "--workers", "1"]


def forbid_writing(folder: Path) -> None:
    for path in [folder, *folder.rglob("*")]:
        path.chmod(0o555 if path.is_dir() else 0o444)


@pytest.fixture
def place():
    """A folder that everybody can reach; afterwards it is gone."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    yield folder
    for path in [folder, *folder.rglob("*")]:
        if path.is_dir():
            path.chmod(0o755)
    shutil.rmtree(folder)


@pytest.fixture
def as_user():
    """Permissions mean nothing to root: be somebody else for a while."""
    root = os.geteuid() == 0
    if root:
        os.seteuid(NOBODY)
    yield
    if root:
        os.seteuid(0)


@pytest.fixture
def toy(place):
    write_toy(place / "toy", 5)
    draw_contact_sheet(EpisodeDataset(place / "toy"), np.arange(1), place / "x.png")  # nobody may not even import
    forbid_writing(place)
    return place / "toy"


@pytest.fixture
def collected(place):
    collect([*COLLECT, "--n", "4", "--out", str(place / "dm")])
    forbid_writing(place)
    return place / "dm"


def test_it_is_read_verified_and_described(toy, as_user, monkeypatch, capsys):
    with pytest.raises(PermissionError):
        (toy / "new").touch()
    dataset = EpisodeDataset(toy)
    for e in range(5):
        np.testing.assert_array_equal(dataset.read("image", e), toy_episode(e).obs)
    monkeypatch.setattr(sys, "argv", ["longdream", str(toy)])
    verify_main()
    with pytest.raises(SystemExit) as stop:
        inspect_main()
    out, err = capsys.readouterr()
    assert stop.value.code == 2
    assert "all as they were written" in out
    assert "5 of 5" in out
    assert "inspect.png (Permission denied): choose another place with --out" in err


def test_collecting_more_is_refused_in_a_line_and_changes_nothing(collected, as_user, capsys):
    before = contents(collected)
    with pytest.raises(SystemExit) as stop:
        collect([*COLLECT, "--n", "8", "--out", str(collected)])
    assert stop.value.code == 1
    (line,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith("collect: ")]
    assert "Permission denied" in line
    assert "holds 4 of 4 episodes" in line
    assert contents(collected) == before
