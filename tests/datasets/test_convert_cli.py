"""`longdream convert` as a user meets it."""

from functools import partial

import h5py
import numpy as np
import pytest

from longdream.datasets.convert.cli import main
from longdream.datasets.reader import EpisodeDataset
from longdream.tests.datasets.convert_toys import write_mazes, write_replay
from longdream.tests.datasets.dataset_toys import contents, write_toy


@pytest.fixture
def convert(call):
    """Run the command; return its exit code and what it printed."""
    return partial(call, main)


def test_what_a_source_is_is_seen(tmp_path, convert):
    write_mazes(tmp_path / "mazes", 2)
    write_replay(tmp_path / "replay", 2)
    for kind, environment in (("mazes", "memory_maze_5x5"), ("replay", "replay")):
        code, out, _ = convert(tmp_path / kind, tmp_path / f"{kind}-data", "--to", "longdream", "--context", 5)
        assert code == 0
        assert "2 episodes" in out
        assert "is whole" in out
        info = EpisodeDataset(tmp_path / f"{kind}-data").info
        assert (info.environment, info.spec.context) == (environment, 5)


def test_the_settings_reach_the_data_set_and_it_grows(tmp_path, convert):
    write_mazes(tmp_path / "mazes", 5)
    words = [tmp_path / "mazes", tmp_path / "data", "--to", "longdream"]
    words += ["--split", "1/1/1", "--per-shard", 2, "--context", 9]
    for count in (3, 5):
        assert convert(*words, "--episodes", count)[0] == 0
        assert EpisodeDataset(tmp_path / "data").indices.tolist() == list(range(count))
    assert str(EpisodeDataset(tmp_path / "data").info.splits) == "1/1/1"
    code, out, _ = convert(*words)
    assert (code, out.startswith("nothing to do")) == (0, True)
    code, _, err = convert(*words[:-1], 10)
    assert (code, err.count("\n")) == (2, 1)
    assert "holds another data set" in err


def test_there_and_back_again(tmp_path, convert):
    write_toy(tmp_path / "toy", 6)
    assert convert(tmp_path / "toy", tmp_path / "toy.h5", "--to", "h5", "--clock", "taken-at")[0] == 0
    assert convert(tmp_path / "toy.h5", tmp_path / "back", "--to", "longdream")[0] == 0
    assert contents(tmp_path / "back") == contents(tmp_path / "toy")
    assert convert(tmp_path / "toy", tmp_path / "minari", "--to", "minari")[0] == 0
    assert convert(tmp_path / "minari", tmp_path / "third", "--to", "longdream")[0] == 0
    assert contents(tmp_path / "third") == contents(tmp_path / "toy")
    assert convert(tmp_path / "toy", tmp_path / "copy", "--to", "longdream")[0] == 0
    assert contents(tmp_path / "copy") == contents(tmp_path / "toy")


def test_previews_are_of_the_first_episodes(tmp_path, convert):
    write_toy(tmp_path / "toy", 6)
    assert convert(tmp_path / "toy", tmp_path / "look", "--to", "gif")[0] == 0
    assert len(list((tmp_path / "look").glob("*.gif"))) == 4
    assert convert(tmp_path / "toy", tmp_path / "one", "--to", "gif", "--episodes", 1)[0] == 0
    assert len(list((tmp_path / "one").glob("*.gif"))) == 1


def test_only_the_first_episodes_are_exported(tmp_path, convert):
    write_toy(tmp_path / "toy", 6)
    assert convert(tmp_path / "toy", tmp_path / "toy.h5", "--to", "h5", "--episodes", 2)[0] == 0
    with h5py.File(tmp_path / "toy.h5") as file:
        assert len(file["ep_len"]) == 2


def test_mistakes_are_one_line_and_exit_code_2(tmp_path, convert):
    write_toy(tmp_path / "toy", 6)
    (tmp_path / "empty").mkdir()
    (tmp_path / "notes.txt").write_text("x")
    write_replay(tmp_path / "replay", 1, action=np.ones((12, 2)))
    for source, more, message in [
        ("none", [], "is not there"),
        ("empty", [], "holds no npz files"),
        ("notes.txt", [], "say what it is with --of"),
        ("toy", ["--context", 5], "says itself"),
        ("toy", ["--episodes", 7], "--episodes 7"),
        ("toy", ["--episodes", 0], "--episodes 0"),
        ("replay", [], "--clock taken-at"),
        ("replay", ["--clock", "taken-at", "--split", "8:1:1"], "--split 8:1:1"),
        ("replay", ["--of", "memory-maze"], "lacks maze_layout"),
    ]:
        code, out, err = convert(tmp_path / source, tmp_path / "out", "--to", "longdream", *more)
        assert (code, out, err.count("\n")) == (2, "", 1), err
        assert message in err
        assert not (tmp_path / "out").exists()
    code, _, err = convert(tmp_path / "toy", tmp_path / "empty", "--to", "webdataset")
    assert (code, err.count("\n")) == (2, 1)
    assert "is there already" in err


def test_damaged_data_are_one_line_and_exit_code_1(tmp_path, convert):
    write_toy(tmp_path / "toy", 6)
    image = tmp_path / "toy/shards/000000-000004/image/c/0/0/0/0"
    data = bytearray(image.read_bytes())
    data[len(data) // 3] ^= 4
    image.write_bytes(data)
    for goal in ("longdream", "webdataset", "h5", "gif"):
        code, _, err = convert(tmp_path / "toy", tmp_path / goal, "--to", goal)
        assert (code, err.count("\n")) == (1, 1), err
        assert "000000-000004: image" in err
        assert goal == "longdream" or not (tmp_path / goal).exists()


def test_help_teaches(convert):
    code, out, _ = convert("--help")
    assert code == 0
    for words in ("Memory Maze", "stable-worldmodel", "ep_offset", "taken-at", "--to", "goes on with the same command"):
        assert words in " ".join(out.split())
