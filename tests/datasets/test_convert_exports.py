"""Exports, read by the libraries they are for: every array comes back, and nothing half-written passes for whole."""

import dataclasses
import gc
import json
import os
import signal
import subprocess
import sys
import time

import av
import h5py
import numpy as np
import pytest
import webdataset
from PIL import Image

from longdream.datasets.convert.columns import Columns, columns
from longdream.datasets.convert.minari import MINARI
from longdream.datasets.convert.part import export
from longdream.datasets.convert.previews import export_previews
from longdream.datasets.convert.source import Wishes, arrays_of
from longdream.datasets.convert.stored import StoredEpisodes, into_store
from longdream.datasets.convert.tars import TARS
from longdream.datasets.files import DatasetError
from longdream.datasets.info import DatasetInfo
from longdream.datasets.reader import EpisodeDataset
from longdream.datasets.splits import Splits
from longdream.tests.datasets.convert_toys import Silent
from longdream.tests.datasets.dataset_toys import contents, toy_episode, toy_length, write_toy

H5 = columns("led-to")
FORMATS = pytest.mark.parametrize(
    "how", [TARS, H5, columns("taken-at"), MINARI], ids=["tars", "h5", "h5-taken-at", "minari"]
)


@pytest.fixture
def toy(tmp_path):
    """Ten episodes of varying length, in splits 2/1/1, shards of four."""
    write_toy(tmp_path / "toy", 10, splits=Splits.from_ratio(2, 1, 1))
    return StoredEpisodes(tmp_path / "toy")


def assert_arrays(found, index):
    """All arrays of a toy episode, values and types, as the data set stores them."""
    wanted = toy_episode(index)
    fields = {f.name: getattr(wanted, f.name) for f in dataclasses.fields(wanted) if f.name != "extras"}
    fields["image"] = fields.pop("obs")
    wanted = fields | dict(wanted.extras)
    assert found.keys() == wanted.keys()
    types = {"context": np.int32, "seed": np.uint64, "teleport_from": np.int32}
    for name, value in wanted.items():
        np.testing.assert_array_equal(found[name], value, name)
        assert found[name].dtype == types.get(name, getattr(value, "dtype", None))


@pytest.mark.filterwarnings("ignore::ResourceWarning")  # WebDataset leaves its files open ...
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_webdataset_reads_every_episode_of_every_split(tmp_path, toy):
    export(toy, tmp_path / "tars", TARS, Silent())
    names = sorted(path.name for path in (tmp_path / "tars").iterdir())
    tars = ["test-000000.tar", "train-000000.tar", "train-000001.tar", "validation-000000.tar"]
    assert names == ["dataset.json", "tars.json", *tars]
    for split, episodes in {"train": [0, 1, 4, 5, 8, 9], "test": [2, 6], "validation": [3, 7]}.items():
        paths = [str(tmp_path / "tars" / name) for name in names if name.startswith(split)]
        samples = list(webdataset.WebDataset(paths, shardshuffle=False).decode())
        assert [int(sample["__key__"]) for sample in samples] == episodes
        for sample in samples:
            arrays = {key.removesuffix(".npy"): x for key, x in sample.items() if not key.startswith("_")}
            assert_arrays(arrays, int(sample["__key__"]))
    assert DatasetInfo.read(tmp_path / "tars") == toy.info
    gc.collect()  # ... and warns when they go


def test_tars_do_not_depend_on_the_clock(tmp_path, toy, monkeypatch):
    export(toy, tmp_path / "a", TARS, Silent())
    monkeypatch.setattr(time, "time", lambda: 1e9)
    export(toy, tmp_path / "b", TARS, Silent())
    assert contents(tmp_path / "a") == contents(tmp_path / "b")


def test_h5py_reads_flat_columns(tmp_path, toy):
    export(toy, tmp_path / "toy.h5", H5, Silent())
    with h5py.File(tmp_path / "toy.h5") as file:
        assert file["ep_len"][:].tolist() == [toy_length(e) for e in range(10)]
        assert file["ep_offset"][:].tolist() == [sum(map(toy_length, range(e))) for e in range(10)]
        assert (file["pixels"].chunks[0], file["reward"].chunks[0]) == (54, 16384)  # 64 kB, and no more small pieces
        rows = sum(map(toy_length, range(10)))
        assert {len(file[name]) for name in file if not name.startswith("ep_")} == {rows}
        for e in range(10):
            steps = slice(file["ep_offset"][e], file["ep_offset"][e] + file["ep_len"][e])
            arrays = {("image" if name == "pixels" else name): file[name][steps] for name in file if name[:3] != "ep_"}
            for name in ("context", "seed", "teleport_from", "layout"):
                assert (arrays[name] == arrays[name][:1]).all()
                arrays[name] = arrays[name][0]
            assert_arrays(arrays, e)


def test_actions_may_be_those_taken_at_their_frames(tmp_path, toy):
    export(toy, tmp_path / "toy.h5", columns("taken-at"), Silent())
    wanted = toy_episode(0).action
    with h5py.File(tmp_path / "toy.h5") as file:
        np.testing.assert_array_equal(file["action"][: len(wanted)], [*wanted[1:], [0, 0, 0]])


@pytest.mark.parametrize("clock", ["led-to", "taken-at"])
def test_through_h5_a_data_set_comes_back_byte_for_byte(tmp_path, toy, clock):
    export(toy, tmp_path / "toy.h5", columns(clock), Silent())
    source = Columns(tmp_path / "toy.h5", Wishes(), "led-to")
    into_store(source, tmp_path / "back", Silent())
    source.file.close()
    assert contents(tmp_path / "back") == contents(tmp_path / "toy")


def test_foreign_columns_come_in(tmp_path):
    lengths, rng = [12, 9, 15], np.random.default_rng(0)
    pixels, action = rng.integers(0, 9, (36, 20, 20, 3), np.uint8), rng.normal(size=(36, 2))
    reward, state = rng.random(36), rng.random((36, 4))
    with h5py.File(tmp_path / "push.h5", "w") as file:
        for name, values in {"pixels": pixels, "action": action, "reward": reward, "state": state}.items():
            file[name] = values
        file["ep_len"], file["ep_offset"] = lengths, [0, 12, 21]
    source = Columns(tmp_path / "push.h5", Wishes(splits=Splits.from_ratio(1, 1, 1)), "taken-at")
    into_store(source, tmp_path / "push", Silent())
    source.file.close()
    dataset = EpisodeDataset(tmp_path / "push")
    assert (dataset.info.environment, dataset.info.spec, dataset.lengths.tolist()) == ("push", (6, 6), lengths)
    for e, start in enumerate([0, 12, 21]):
        steps, found = slice(start, start + lengths[e]), dataset.episode(e)
        np.testing.assert_array_equal(found.obs, pixels[steps])
        np.testing.assert_array_equal(found.action, [[0, 0], *action[steps][:-1].astype(np.float32)])
        np.testing.assert_array_equal(found.reward, reward[steps].astype(np.float32))
        np.testing.assert_array_equal(found.extras["state"], state[steps])
        assert found.is_first.tolist() == [True] + (lengths[e] - 1) * [False]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"ep_len": None, "pixels": None}, "lacks ep_len, pixels; it has action, ep_offset, reward"),
        ({"ep_len": [5, 6]}, r"need 11 rows, these have fewer: action \(10, 2\), .*reward"),
        ({"ep_offset": [0]}, "not equally many"),
        ({"ep_len": []}, "name no episodes"),
        ({"phase": np.zeros(10)}, "phase means something else"),
        ({"action": np.ones((10, 2))}, "--clock taken-at"),
        ({"pixels": np.zeros((10, 8, 8, 3))}, r"image is float64"),
    ],
)
def test_columns_that_do_not_fit_are_named(tmp_path, change, message):
    good = {"pixels": np.zeros((10, 8, 8, 3), "u1"), "action": np.zeros((10, 2)), "reward": np.zeros(10)}
    good |= {"ep_len": [5, 5], "ep_offset": [0, 5]}
    with h5py.File(tmp_path / "x.h5", "w") as file:
        for name, values in (good | change).items():
            if values is not None:
                file[name] = values
    with pytest.raises(ValueError, match=message) as raised:
        Columns(tmp_path / "x.h5", Wishes(), "led-to")
    assert "\n" not in str(raised.value)


def test_a_truncated_or_strange_h5_is_refused(tmp_path, toy):
    export(toy, tmp_path / "toy.h5", H5, Silent())
    with pytest.raises(ValueError, match="says itself"):
        Columns(tmp_path / "toy.h5", Wishes(context=3), "led-to")
    (tmp_path / "toy.h5").write_bytes((tmp_path / "toy.h5").read_bytes()[:20000])
    with pytest.raises(ValueError, match="is it whole"):
        Columns(tmp_path / "toy.h5", Wishes(), "led-to")


@FORMATS
def test_a_failure_leaves_nothing_under_the_name(tmp_path, toy, how, monkeypatch):
    def broken(index):
        if index == 6:
            raise OSError(28, "No space left on device")
        return toy.dataset.episode(index)

    with monkeypatch.context() as patch:
        patch.setattr(toy, "episode", broken)
        with pytest.raises(OSError, match="No space left"):
            export(toy, tmp_path / "out", how, Silent())
    assert sorted(path.name for path in tmp_path.iterdir()) == ["toy"]
    export(toy, tmp_path / "out", how, Silent())
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out", "toy"]
    with pytest.raises(ValueError, match="out is there already"):
        export(toy, tmp_path / "out", how, Silent())


@FORMATS
def test_what_reads_back_otherwise_is_never_whole(tmp_path, toy, how):
    """A format whose reading gives one wrong value, or one episode too few."""

    def one_wrong(path, info):
        for back in how.read(path, info):
            if back.episode == 3:
                back.arrays["reward"][-1] += 1
            yield back

    def one_less(path, info):
        return (back for back in how.read(path, info) if back.episode != 7)

    for read, message in ((one_wrong, "reward of episode 3 reads back otherwise"), (one_less, "episode 7 first")):
        with pytest.raises(DatasetError, match=message):
            export(toy, tmp_path / "out", how._replace(read=read), Silent())
        assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("name", ["tars", "h5"])
def test_killed_in_the_middle_it_is_not_there(tmp_path, toy, name):
    words = [sys.executable, "-c", SLOW, name, str(tmp_path / "toy"), str(tmp_path / "out")]
    process = subprocess.Popen(words, stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "two episodes\n"
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    assert not (tmp_path / "out").exists()
    assert len(list((tmp_path / "out.part").iterdir())) == 1
    export(toy, tmp_path / "out", {"tars": TARS, "h5": H5}[name], Silent())
    assert not (tmp_path / "out.part").exists()


SLOW = """
import sys, time
from pathlib import Path
from longdream.datasets.convert.columns import columns
from longdream.datasets.convert.minari import MINARI
from longdream.datasets.convert.part import export
from longdream.datasets.convert.stored import StoredEpisodes
from longdream.datasets.convert.tars import TARS
from longdream.tests.datasets.convert_toys import Silent
class Slow(Silent):
    def advance(self, frames):
        self.made += 1
        if self.made == 2:
            print("two episodes", flush=True)
            time.sleep(60)
how = TARS if sys.argv[1] == "tars" else columns("led-to")
export(StoredEpisodes(Path(sys.argv[2])), Path(sys.argv[3]), how, Slow())
"""


def test_a_data_set_that_is_not_finished_is_refused(tmp_path, toy):
    (tmp_path / "toy/shards/000004-000008").rename(tmp_path / "elsewhere")
    with pytest.raises(ValueError, match="holds 6 of 10 episodes: finish it first"):
        StoredEpisodes(tmp_path / "toy")


def test_episodes_unlike_the_first_are_named_in_one_line(toy, monkeypatch):
    odd = dataclasses.replace(
        toy_episode(4, 30), reward=np.zeros(30), extras={"agent_pos": np.zeros((30, 3), np.float32), "new": np.zeros(1)}
    )
    monkeypatch.setattr(toy, "episode", lambda index: odd)
    with pytest.raises(ValueError, match="episode 4 is unlike") as raised:
        arrays_of(toy, 4)
    line = str(raised.value)
    assert "agent_pos is float32 (30, 3), not float32 (30, 2)" in line
    assert "it has new besides; it lacks layout; reward is float64 (30,), not float32 (30,)" in line
    assert "\n" not in line


def test_gifs_show_every_frame_for_its_time(tmp_path, toy):
    toy.info = dataclasses.replace(toy.info, episodes=2)
    export_previews(toy, tmp_path / "look", "gif", Silent())
    assert sorted(path.name for path in (tmp_path / "look").iterdir()) == ["000000.gif", "000001.gif"]
    with Image.open(tmp_path / "look/000001.gif") as file:
        assert file.size == (240, 240)
        assert file.n_frames == toy_length(1)
        assert file.info["loop"] == 0
        file.seek(5)
        found = np.asarray(file.convert("RGB")).astype(int)
    wanted = toy_episode(1).obs[5].repeat(12, 0).repeat(12, 1)
    assert np.abs(found - wanted).max() <= 4  # a palette


def test_equal_frames_are_counted_by_their_time(tmp_path, toy, monkeypatch):
    still = toy_episode(0)
    still.obs[5:15] = still.obs[5]  # pillow makes one picture of them
    monkeypatch.setattr(toy, "episode", lambda index: still)
    toy.info = dataclasses.replace(toy.info, episodes=1)
    export_previews(toy, tmp_path / "look", "gif", Silent())
    with Image.open(tmp_path / "look/000000.gif") as file:
        assert file.n_frames == len(still) - 9


def test_pyav_reads_an_mp4(tmp_path, toy):
    toy.info = dataclasses.replace(toy.info, episodes=2)
    export_previews(toy, tmp_path / "look", "mp4", Silent())
    with av.open(tmp_path / "look/000001.mp4") as file:
        frames = [frame.to_ndarray(format="rgb24") for frame in file.decode(video=0)]
    assert len(frames) == toy_length(1)
    wanted = toy_episode(1).obs[5].repeat(12, 0).repeat(12, 1)
    assert np.abs(frames[5] - wanted.astype(int)).mean() < 3  # it loses detail


def test_mp4_without_pyav_says_what_to_install(tmp_path, toy, monkeypatch):
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(ValueError, match=r"pip install 'longdream\[video\]'"):
        export_previews(toy, tmp_path / "look", "mp4", Silent())
    assert not (tmp_path / "look").exists()


def test_a_file_of_ours_that_lost_episodes_is_refused(tmp_path, toy):
    export(toy, tmp_path / "toy.h5", H5, Silent())
    with h5py.File(tmp_path / "toy.h5", "a") as file:
        plain = json.loads(file.attrs["longdream"])
        file.attrs["longdream"] = json.dumps(plain | {"episodes": 11})
    with pytest.raises(ValueError, match="holds 10 episodes of 11"):
        Columns(tmp_path / "toy.h5", Wishes(), "led-to")
