"""Frames that are drawn on reading: the very bytes of those that are stored, through every way of reading them."""

import dataclasses
import itertools
import json
import sys

import numpy as np
import pytest
import torch

from longdream.collectors.catalogue import ENVIRONMENTS
from longdream.collectors.cli import main
from longdream.collectors.rollout import array_specs, collect_episode, episode_seed
from longdream.datasets.contact_sheet import draw_contact_sheet
from longdream.datasets.files import DatasetError, seal
from longdream.datasets.frames.recipes import RECIPES
from longdream.datasets.frames.renderers import render
from longdream.datasets.info import DatasetInfo
from longdream.datasets.inspect import describe
from longdream.datasets.loader import Loader, read_batch, whole
from longdream.datasets.reader import EpisodeDataset
from longdream.datasets.samplers import Segment, Streams, WholeTrajectories
from longdream.datasets.verify import verify
from longdream.tests.datasets.dataset_toys import contents

BASE = ["--env", "two_rooms", "--size", "32", "--per-shard", "2", "--workers", "1"]
EPISODES = 3
DRAWABLE = [name for name, environment in ENVIRONMENTS.items() if environment.recipe]


def collected(root, frames, *more):
    """Return a data set of two rooms."""
    main([*BASE, "--frames", frames, "--n", str(EPISODES), "--out", str(root), *more])
    return EpisodeDataset(root)


@pytest.fixture(scope="module")
def stored(tmp_path_factory):
    return collected(tmp_path_factory.mktemp("stored") / "rooms", "stored")


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    return collected(tmp_path_factory.mktemp("drawn") / "rooms", "on-read")


@pytest.mark.parametrize("name", DRAWABLE)
def test_the_recipe_draws_what_the_environment_showed(name):
    environment = ENVIRONMENTS[name]
    episode = collect_episode(environment, environment.options, episode_seed(3, 0))
    options = dataclasses.asdict(environment.options)
    assert {"size", "renderer"} <= options.keys()
    view = RECIPES[environment.recipe](episode.extras, options)
    assert np.array_equal(render(*view, options["renderer"]), episode.obs)


@pytest.mark.parametrize("name", DRAWABLE)
def test_collecting_it_needs_no_pictures(name):
    """What will be drawn on reading is collected blank, and all else is the same."""
    environment, seed = ENVIRONMENTS[name], episode_seed(3, 1)
    blank = collect_episode(environment, dataclasses.replace(environment.options, renderer="blank"), seed)
    episode = collect_episode(environment, environment.options, seed)
    assert not blank.obs.any()
    assert blank.extras.keys() == episode.extras.keys()
    assert all(np.array_equal(blank.extras[key], episode.extras[key]) for key in episode.extras)
    assert np.array_equal(blank.action, episode.action)


def test_every_way_of_reading_gives_the_stored_bytes(stored, drawn):
    assert (stored.info.frames, drawn.info.frames) == ("stored", "on-read")
    for e in range(EPISODES):
        one, other = stored.episode(e), drawn.episode(e)
        assert np.array_equal(one.obs, other.obs)
        assert one.seed == other.seed
        assert all(np.array_equal(one.extras[key], other.extras[key]) for key in one.extras)
        for start, stop in ((0, 1), (17, 120), (300, 501), (5, 5)):
            assert np.array_equal(stored.read("image", e, start, stop), drawn.read("image", e, start, stop))
    out = np.empty((3, 32, 32, 3), np.uint8)
    assert np.array_equal(drawn.read("image", 0, 4, 7, out), stored.read("image", 0, 4, 7))


def test_batches_and_the_loader(stored, drawn):
    rows = [*whole(drawn, [2, 0]), (Segment(1, 480, 501), Segment(0, 0, 480))]
    one, other = read_batch(stored, rows), read_batch(drawn, rows)
    on_device = read_batch(drawn, rows, draw_on=torch.device("cpu"))
    for a, b, c in zip(one.tensors, other.tensors, on_device.tensors, strict=True):
        assert torch.equal(a, b)
        assert torch.equal(a, c)
    assert one.obs.stride() == other.obs.stride() == on_device.obs.stride()  # channels last, all of them
    row = whole(stored, [1])
    assert torch.equal(read_batch(stored, row, draw_on=torch.device("cpu")).obs, read_batch(stored, row).obs)
    for sampler, device in (
        (WholeTrajectories(drawn.indices, drawn.lengths, 2, seed=0), None),
        (Streams(drawn.indices, drawn.lengths, 2, seed=0, window=150), torch.device("cpu")),
    ):
        with Loader(drawn, sampler, threads=2, draw_on=device) as loader:
            for step, batch in enumerate(itertools.islice(loader, 4)):
                assert torch.equal(batch.obs, read_batch(stored, sampler.batch(step)).obs)


def test_no_frame_is_on_the_disk(drawn, tmp_path):
    assert not list(drawn.folder.path.rglob("image"))
    assert drawn.disk_bytes() < 100_000
    assert "drawn on reading (renderer raycast)" in describe(drawn)
    draw_contact_sheet(drawn, drawn.indices[:2], tmp_path / "sheet.png")
    assert (tmp_path / "sheet.png").stat().st_size > 10_000


def test_thirty_thousand_episodes_of_four_rooms_are_under_a_gigabyte(tmp_path):
    main(["--env", "four_rooms", "--frames", "on-read", "--n", "8", "--workers", "1", "--out", str(tmp_path / "four")])
    assert EpisodeDataset(tmp_path / "four").disk_bytes() / 8 * 30_000 < 1e9


def test_verify_and_damage(tmp_path):
    dataset = collected(tmp_path / "rooms", "on-read")
    assert verify(dataset.folder.path) == []
    file = next((dataset.folder.path / "shards").glob("000000-*")) / "agent_pos" / "c" / "0" / "0"
    raw = bytearray(file.read_bytes())
    raw[len(raw) // 2] ^= 1
    file.write_bytes(raw)
    assert any("agent_pos" in problem for problem in verify(dataset.folder.path))
    with pytest.raises(DatasetError, match="agent_pos"):
        EpisodeDataset(dataset.folder.path).read("image", 0)


def test_the_same_bytes_however_it_was_run(drawn, tmp_path):
    again = collected(tmp_path / "again", "on-read", "--workers", "2")
    assert contents(again.folder.path / "shards") == contents(drawn.folder.path / "shards")


def refusal(capsys, *arguments):
    """Return the one line with which `collect` refuses."""
    capsys.readouterr()
    with pytest.raises(SystemExit) as stop:
        main(list(arguments))
    assert stop.value.code == 2
    return capsys.readouterr().err.strip()


def test_stored_and_drawn_do_not_mix(stored, capsys):
    line = refusal(capsys, *BASE, "--frames", "on-read", "--n", "3", "--out", str(stored.folder.path))
    assert "frames is stored, not on-read" in line
    assert "\n" not in line


def test_what_cannot_be_drawn_is_refused(capsys, tmp_path):
    line = refusal(
        capsys, "--env", "distracting_memory", "--frames", "on-read", "--n", "1", "--out", str(tmp_path / "dm")
    )
    assert "frames of distracting_memory have to be stored; drawn can be those of two_rooms" in line
    assert not (tmp_path / "dm").exists()


@pytest.mark.parametrize("renderer", ["cubist", "blank"])
def test_unknown_renderers_are_refused(capsys, tmp_path, renderer):
    line = refusal(capsys, *BASE, "--renderer", renderer, "--n", "1", "--out", str(tmp_path / "rooms"))
    assert f"no renderer '{renderer}'; there are raycast, raycast-numba, raycast-torch, mujoco" in line


def test_mujoco_that_cannot_work_is_refused_before_anything_is_made(capsys, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "mujoco", None)
    line = refusal(capsys, *BASE, "--renderer", "mujoco", "--n", "1", "--out", str(tmp_path / "rooms"))
    assert "libegl1 and libgl1" in line
    assert "\n" not in line
    assert not (tmp_path / "rooms").exists()


def test_views_are_only_for_what_is_drawn(stored, drawn):
    assert len(drawn.view(0, 3, 9).poses.x) == 6
    with pytest.raises(ValueError, match="stored, not drawn"):
        stored.view(0, 3, 9)


def test_an_unknown_recipe_is_named(drawn, tmp_path):
    info = dataclasses.replace(drawn.info, recipe="cubist")
    (tmp_path / "dataset.json").write_text(seal(info.to_json()))
    with pytest.raises(DatasetError, match="recipe 'cubist'"):
        EpisodeDataset(tmp_path)


def test_data_sets_from_before_recipes_keep_their_fingerprint(stored, drawn):
    assert "recipe" not in stored.info.to_json()
    assert DatasetInfo.from_json(json.loads(json.dumps(drawn.info.to_json()))).recipe == "rooms"
    assert stored.info.fingerprint != drawn.info.fingerprint
    assert array_specs(ENVIRONMENTS["two_rooms"], ENVIRONMENTS["two_rooms"].options).keys() == drawn.info.arrays.keys()
