"""Minari: its own library reads what is written, and what it writes comes in."""

import dataclasses
import sys

import minari
import numpy as np
import pytest
from gymnasium import spaces
from minari.data_collector import EpisodeBuffer
from minari.dataset.minari_storage import MinariStorage

from longdream.datasets.convert.minari import MINARI, MinariFolder
from longdream.datasets.convert.part import export
from longdream.datasets.convert.source import Wishes
from longdream.datasets.convert.stored import StoredEpisodes, into_store
from longdream.datasets.reader import EpisodeDataset
from longdream.tests.datasets.convert_toys import Silent
from longdream.tests.datasets.dataset_toys import contents, toy_episode, toy_length, write_toy


@pytest.fixture
def toy(tmp_path):
    write_toy(tmp_path / "toy", 6)
    return StoredEpisodes(tmp_path / "toy")


def test_minari_reads_every_episode(tmp_path, toy, monkeypatch):
    export(toy, tmp_path / "longdream/toy-v0", MINARI, Silent())
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path))
    dataset = minari.load_dataset("longdream/toy-v0")
    assert (dataset.total_episodes, dataset.total_steps) == (6, sum(toy_length(e) - 1 for e in range(6)))
    assert dataset.action_space == spaces.Discrete(3)
    for found in dataset.iterate_episodes():
        wanted = toy_episode(int(found.id))
        np.testing.assert_array_equal(found.observations, wanted.obs)
        np.testing.assert_array_equal(found.actions, wanted.action[1:].argmax(1))
        np.testing.assert_array_equal(found.rewards, wanted.reward[1:])
        np.testing.assert_array_equal(found.terminations, wanted.terminal[1:])
        assert not found.truncations.any()
        np.testing.assert_array_equal(found.infos["agent_pos"], wanted.extras["agent_pos"])


def test_through_minari_a_data_set_comes_back_byte_for_byte(tmp_path, toy):
    export(toy, tmp_path / "minari", MINARI, Silent())
    into_store(MinariFolder(tmp_path / "minari", Wishes()), tmp_path / "back", Silent())
    assert contents(tmp_path / "back") == contents(tmp_path / "toy")
    with pytest.raises(ValueError, match="says itself"):
        MinariFolder(tmp_path / "minari", Wishes(context=3))


def test_an_episode_without_an_end_is_truncated(tmp_path, toy, monkeypatch):
    endless = toy_episode(0)
    endless.terminal[:] = False
    monkeypatch.setattr(toy, "episode", lambda index: endless)
    export(toy, tmp_path / "minari", MINARI, Silent())
    (found,) = MinariStorage.read(tmp_path / "minari/data").get_episodes([3])
    assert found["truncations"].tolist() == [False] * (len(endless) - 2) + [True]


def write_foreign(folder, observation_space, action_space, episodes):
    (folder / "data").mkdir(parents=True)
    storage = MinariStorage.new(folder / "data", observation_space, action_space, jpeg_encoding=False)
    storage.update_metadata({"dataset_id": "theirs-v1", "minari_version": minari.__version__})
    storage.update_episodes(episodes)


def foreign_episode(index, action, **seen):
    steps = len(action)
    end = np.arange(steps) == steps - 1
    return EpisodeBuffer(
        id=index,
        observations=seen,
        actions=action,
        rewards=np.random.default_rng(index).random(steps),
        terminations=end & (index == 1),
        truncations=end & (index == 0),
    )


def test_the_data_of_others_come_in(tmp_path):
    rng = np.random.default_rng(0)
    image, position = spaces.Box(0, 255, (40, 40, 3), np.uint8), spaces.Box(-1, 1, (2,), np.float32)
    episodes = [
        foreign_episode(e, rng.integers(2, 5, 11 + e), rgb=rng.integers(0, 9, (12 + e, 40, 40, 3), np.uint8),
                        position=rng.random((12 + e, 2), np.float32))
        for e in range(2)
    ]  # fmt: skip
    space = spaces.Dict({"rgb": image, "position": position})
    write_foreign(tmp_path / "theirs", space, spaces.Discrete(3, start=2), episodes)
    into_store(MinariFolder(tmp_path / "theirs", Wishes(context=5)), tmp_path / "data", Silent())
    dataset = EpisodeDataset(tmp_path / "data")
    assert (dataset.info.environment, dataset.info.spec) == ("theirs-v1", (5, 7))
    for e, wanted in enumerate(episodes):
        found = dataset.episode(e)
        np.testing.assert_array_equal(found.obs, wanted.observations["rgb"])
        np.testing.assert_array_equal(found.extras["position"], wanted.observations["position"])
        np.testing.assert_array_equal(found.action[1:].argmax(1) + 2, wanted.actions)
        assert found.action.sum(1).tolist() == [0] + [1] * (11 + e)
        np.testing.assert_array_equal(found.reward, [0, *wanted.rewards.astype(np.float32)])
        assert found.terminal.tolist() == [False] * (11 + e) + [e == 1]


def test_continuous_actions_stay_what_they_are(tmp_path):
    rng, image = np.random.default_rng(0), spaces.Box(0, 255, (40, 40, 3), np.uint8)
    action = rng.normal(size=(9, 2)).astype(np.float32)
    episode = foreign_episode(0, action, rgb=rng.integers(0, 9, (10, 40, 40, 3), np.uint8))
    write_foreign(tmp_path / "theirs", spaces.Dict({"rgb": image}), spaces.Box(-9, 9, (2,), np.float32), [episode])
    source = MinariFolder(tmp_path / "theirs", Wishes())
    export(source, tmp_path / "ours", MINARI, Silent())
    (found,) = MinariStorage.read(tmp_path / "ours/data").get_episodes([0])
    np.testing.assert_array_equal(found["actions"], action)
    np.testing.assert_array_equal(MinariFolder(tmp_path / "ours", Wishes()).episode(0).action[1:], action)


def test_what_cannot_be_had_is_named(tmp_path, toy, monkeypatch):
    vectors = spaces.Dict({"position": spaces.Box(-1, 1, (2,), np.float32)})
    episode = foreign_episode(0, np.zeros(5, int), position=np.zeros((6, 2), np.float32))
    write_foreign(tmp_path / "vectors", vectors, spaces.Discrete(3), [episode])
    with pytest.raises(ValueError, match="episode 0: of position one must be images"):
        MinariFolder(tmp_path / "vectors", Wishes())
    with pytest.raises(ValueError, match="cannot be read as a Minari data set"):
        MinariFolder(tmp_path / "none", Wishes())
    idle = dataclasses.replace(toy_episode(0), action=np.zeros_like(toy_episode(0).action))
    monkeypatch.setattr(toy, "episode", lambda index: idle)
    with pytest.raises(ValueError, match="episode 0 are not one-hot"):
        export(toy, tmp_path / "minari", MINARI, Silent())
    monkeypatch.setitem(sys.modules, "minari", None)
    with pytest.raises(ValueError, match=r"pip install 'longdream\[minari\]'"):
        MinariFolder(tmp_path / "vectors", Wishes())
    assert not (tmp_path / "minari").exists()
