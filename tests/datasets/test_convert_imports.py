"""Importing the npz folders of others: every array arrives, every broken convention is named, stops are survived."""

import dataclasses
import os
import re
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from longdream.datasets.chunk_writer import ChunkedWriter
from longdream.datasets.convert.dreamer import DreamerFolder
from longdream.datasets.convert.memory_maze import MemoryMazeFolder
from longdream.datasets.convert.source import Wishes, arrays_of
from longdream.datasets.convert.stored import into_store
from longdream.datasets.files import DatasetError
from longdream.datasets.reader import EpisodeDataset
from longdream.datasets.splits import Splits
from longdream.datasets.verify import verify
from longdream.tests.datasets.convert_toys import Silent, maze_arrays, replay_arrays, write_mazes, write_replay
from longdream.tests.datasets.dataset_toys import contents

SMALL = Wishes(context=14, splits=Splits.from_ratio(2, 1, 1), per_shard=3)


def test_a_memory_maze_folder_arrives_whole(tmp_path):
    source = MemoryMazeFolder(write_mazes(tmp_path / "npz", 7), SMALL)
    into_store(source, tmp_path / "data", Silent())
    dataset = EpisodeDataset(tmp_path / "data")
    assert dataset.info.environment == "memory_maze_5x5"
    assert dataset.info.spec == (14, 17)
    assert dataset.split("test").tolist() == [2, 6]
    assert sorted(p.name for p in (tmp_path / "data/shards").iterdir()) == [
        "000000-000003",
        "000003-000006",
        "000006-000007",
    ]
    assert verify(tmp_path / "data") == []
    for e in range(7):
        found, wanted = dataset.episode(e), maze_arrays(e)
        assert (found.action.dtype, found.reward.dtype) == (np.uint8, np.float32)
        for name in ("image", "action", "reward"):
            np.testing.assert_array_equal(getattr(found, "obs" if name == "image" else name), wanted.pop(name), name)
        assert found.extras.keys() == wanted.keys()
        for name, values in wanted.items():
            assert found.extras[name].dtype == values.dtype
            np.testing.assert_array_equal(found.extras[name], values, name)
        assert found.is_first.tolist() == [True] + 30 * [False]
        assert found.phase.tolist() == 14 * [0] + 17 * [1]
        assert not found.terminal.any()
        assert not found.pad.any()


def test_memory_maze_defaults_are_those_of_the_probes(tmp_path):
    info = MemoryMazeFolder(write_mazes(tmp_path / "npz", 1), Wishes()).info
    assert str(info.splits) == "28/1/1"
    assert info.spec.context == 31  # all of a short one; 500 of 1001
    assert info.spec.query == 0


def test_reset_and_terminal_are_taken_where_they_are(tmp_path):
    end = np.arange(31) == 30
    source = MemoryMazeFolder(write_mazes(tmp_path / "npz", 1, terminal=end, reset=np.arange(31) == 0), SMALL)
    assert source.episode(0).terminal.tolist() == end.tolist()
    assert "reset" not in source.info.arrays


def swapped(layout):
    return np.ascontiguousarray(layout.transpose(0, 2, 1))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda a: {"maze_layout": swapped(a["maze_layout"])}, "the layout is transposed"),
        (lambda a: {"maze_layout": 1 - a["maze_layout"]}, "perhaps 0 means free there"),
        (lambda a: {"maze_layout": a["maze_layout"] * 2}, "of 0 and 1"),
        (lambda a: {"agent_pos": a["agent_pos"] + 2}, "beyond 5 cells"),
        (lambda a: {"targets_vec": a["targets_vec"][..., ::-1]}, r"\(right, ahead\)"),
        (lambda a: {"targets_vec": a["targets_vec"] * [-1, 1]}, r"\(right, ahead\)"),
        (lambda a: {"action": np.roll(a["action"], -1, 0)}, "not one-hot from row 1 on"),
        (lambda a: {"action": np.eye(6)[np.ones(31, int)]}, "row 0 of action is not zero"),
        (lambda a: {"reset": np.arange(31) % 10 == 0}, r"steps \[0, 10, 20, 30\], not step 0 alone"),
        (lambda a: {name: x[:20] for name, x in a.items()}, "holds 20 frames, its name says 31"),
        (lambda a: {"agent_dir": a["agent_dir"][:9]}, "agent_dir are not 31 steps long"),
        (lambda a: {"reward": a["reward"][:9]}, r"equally long.*reward \(9,\)"),
        (lambda a: {"target_color": np.zeros((31, 4), "f4"), "more": np.zeros(31)},
         r"it has more besides; target_color is float32 \(31, 4\), not float64 \(31, 3\)"),
        (lambda a: {"target_color": np.array(["red"] * 31)}, "target_color holds no numbers"),
        (lambda a: {"target_color": np.array([None] * 31)}, "cannot be read"),
    ],
)  # fmt: skip
def test_a_broken_convention_is_named_with_its_file(tmp_path, change, message):
    source = MemoryMazeFolder(write_mazes(tmp_path / "npz", 2, **change(maze_arrays(1))), SMALL)
    arrays_of(source, 0)
    with pytest.raises(ValueError, match=rf"20220920T000001-31.npz.*{message}") as raised:
        arrays_of(source, 1)
    assert "\n" not in str(raised.value)


def test_missing_keys_are_named(tmp_path):
    folder = write_mazes(tmp_path / "npz", 1)
    (path,) = folder.iterdir()
    for gone in ("agent_dir", "image"):
        np.savez(path, **{name: x for name, x in maze_arrays(0).items() if name != gone})
        with pytest.raises(ValueError, match=f"lacks {gone}"):
            MemoryMazeFolder(folder, SMALL)
    path.write_bytes(path.read_bytes()[:5000])
    with pytest.raises(ValueError, match=r"-31.npz cannot be read"):
        MemoryMazeFolder(folder, SMALL)


def test_a_replay_folder_arrives_whole(tmp_path):
    into_store(DreamerFolder(write_replay(tmp_path / "eps", 5), Wishes(context=8), "led-to"), tmp_path / "d", Silent())
    dataset = EpisodeDataset(tmp_path / "d")
    assert (dataset.info.environment, str(dataset.info.splits)) == ("eps", "8/1/1")
    for e in range(5):
        found, wanted = dataset.episode(e), replay_arrays(e)
        for name in ("image", "action", "reward", "is_first"):
            assert getattr(found, "obs" if name == "image" else name).dtype == wanted[name].dtype
            np.testing.assert_array_equal(getattr(found, "obs" if name == "image" else name), wanted[name], name)
        np.testing.assert_array_equal(found.terminal, wanted["is_terminal"])
        np.testing.assert_array_equal(found.extras["discount"], wanted["discount"])
        assert (found.context, int((found.phase == 0).sum()), len(found)) == (8, 8, 12 + e)


def test_actions_taken_at_their_frames_are_shifted(tmp_path):
    at = replay_arrays(0)["action"] + 1
    folder = write_replay(tmp_path / "eps", 1, action=at)
    with pytest.raises(ValueError, match=r"row 0 of action is not zero.*--clock taken-at"):
        DreamerFolder(folder, Wishes(), "led-to")
    action = DreamerFolder(folder, Wishes(), "taken-at").episode(0).action
    np.testing.assert_array_equal(action, [[0, 0], *at[:-1]])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"is_first": np.arange(13) % 6 == 0}, r"is_first is set at steps \[0, 6, 12\] of 13"),
        ({"is_last": np.arange(13) % 6 == 0}, "is_last"),
        ({"is_terminal": np.arange(13) == 5}, r"is_terminal is set at steps \[5\]"),
        ({"phase": np.zeros(13)}, "phase means something else"),
        ({"action": np.zeros(13, int)}, r"action has shape \(13,\), not \(T, A\)"),
        ({"action": np.full((13, 2), 300) * (np.arange(13) > 0)[:, None]}, "fit neither uint8 nor float32"),
        ({"image": np.zeros((13, 20, 20, 3), np.float32)}, "image is float32"),
    ],
)
def test_a_replay_file_that_cannot_be_understood_is_named(tmp_path, change, message):
    source = DreamerFolder(write_replay(tmp_path / "eps", 2, **change), Wishes(), "led-to")
    with pytest.raises(ValueError, match=f"0001.npz.*{message}"):
        source.episode(1)


def test_wishes_out_of_range_and_taken_names_are_refused(tmp_path):
    folder = write_replay(tmp_path / "eps", 1, length=np.zeros(12))
    with pytest.raises(ValueError, match="an array is called length"):
        DreamerFolder(folder, Wishes(), "led-to")
    other = write_replay(tmp_path / "others", 1)
    for wishes in (Wishes(context=0), Wishes(per_shard=0)):
        with pytest.raises(ValueError, match=r"--(context|per-shard) 0: 1 or more"):
            DreamerFolder(other, wishes, "led-to")


class Failing(MemoryMazeFolder):
    """A source that breaks off at an episode."""

    def episode(self, index):
        if index == 4:
            raise ValueError("broken off")
        return super().episode(index)


def test_an_import_goes_on_and_grows_to_the_same_bytes(tmp_path):
    folder = write_mazes(tmp_path / "npz", 7)
    source = MemoryMazeFolder(folder, SMALL)
    into_store(source, tmp_path / "once", Silent())
    broken = Failing(folder, SMALL)
    with pytest.raises(ValueError, match="broken off"):
        into_store(broken, tmp_path / "twice", Silent())
    assert [p.name for p in (tmp_path / "twice/shards").iterdir()] == ["000000-000003"]
    broken.info = dataclasses.replace(broken.info, episodes=4)
    into_store(broken, tmp_path / "twice", Silent())
    progress = Silent()
    into_store(source, tmp_path / "twice", progress)
    assert progress.wanted == progress.made == 4  # 3 to 6: the tail shard of one episode is made anew
    assert contents(tmp_path / "twice") == contents(tmp_path / "once")
    into_store(source, tmp_path / "twice", progress)
    assert progress.wanted == 0


def test_a_damaged_shard_is_made_again(tmp_path):
    source = MemoryMazeFolder(write_mazes(tmp_path / "npz", 4), SMALL)
    into_store(source, tmp_path / "data", Silent())
    before = contents(tmp_path / "data/shards")
    (tmp_path / "data/shards/000000-000003/image/c/0/0/0/0").write_bytes(b"")
    progress = Silent()
    into_store(source, tmp_path / "data", progress)
    assert progress.made == 3
    assert "set aside" in progress.said[0]
    assert contents(tmp_path / "data/shards") == before


def test_other_files_than_it_was_begun_with_are_noticed(tmp_path):
    folder = write_mazes(tmp_path / "npz", 7)
    begun = MemoryMazeFolder(folder, SMALL)
    begun.info = dataclasses.replace(begun.info, episodes=6)
    into_store(begun, tmp_path / "data", Silent())
    sorted(folder.iterdir())[1].unlink()  # all later ones move down by one
    with pytest.raises(ValueError, match=r"begun with other files: .* of its episode 2 is not that of .*000003-31.npz"):
        into_store(MemoryMazeFolder(folder, SMALL), tmp_path / "data", Silent())


def test_a_shard_that_does_not_come_back_is_set_aside(tmp_path, monkeypatch):
    source = MemoryMazeFolder(write_mazes(tmp_path / "npz", 1), SMALL)
    finish = ChunkedWriter.finish
    monkeypatch.setattr(ChunkedWriter, "finish", lambda writer, group: finish(writer, group) ^ 1)
    with pytest.raises(DatasetError, match="set aside"):
        into_store(source, tmp_path / "data", Silent())
    assert not list((tmp_path / "data/shards").iterdir())


def test_killed_again_and_again_it_ends_in_the_same_bytes(tmp_path):
    folder = write_mazes(tmp_path / "npz", 9)
    once = MemoryMazeFolder(folder, Wishes(14, None, 1))
    into_store(once, tmp_path / "once", Silent())
    words = [sys.executable, "-c", SLOW, str(folder), str(tmp_path / "killed")]
    for shards in (2, 5):
        process = subprocess.Popen(words, stderr=subprocess.DEVNULL)
        while len(list((tmp_path / "killed/shards").glob("*"))) < shards:
            assert process.poll() is None
            time.sleep(0.005)
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        assert any(re.search("is missing", line) for line in verify(tmp_path / "killed"))
    into_store(once, tmp_path / "killed", Silent())
    assert contents(tmp_path / "killed") == contents(tmp_path / "once")


SLOW = """
import sys, time
from pathlib import Path
from longdream.datasets.convert.memory_maze import MemoryMazeFolder
from longdream.datasets.convert.source import Wishes
from longdream.datasets.convert.stored import into_store
from longdream.tests.datasets.convert_toys import Silent
class Slow(Silent):
    def advance(self, frames): time.sleep(0.1)
into_store(MemoryMazeFolder(Path(sys.argv[1]), Wishes(14, None, 1)), Path(sys.argv[2]), Slow())
"""
