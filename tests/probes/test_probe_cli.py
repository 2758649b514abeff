"""The command `probe` on a real checkpoint and real data sets, and what a user can get wrong."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from longdream.eval import probing_floors
from longdream.probes import cli
from longdream.probes import features as probing
from longdream.probes.cli import main
from longdream.worldmodels.backbones.s4 import S4Config
from longdream.worldmodels.checkpoint import describe, load_model, save_model
from longdream.worldmodels.codecs.cnn import CNNConfig
from longdream.worldmodels.families import build
from longdream.worldmodels.latents import LatentConfig
from longdream.worldmodels.parallel import ParallelConfig

QUICK = ["--steps", "2", "--blocks", "2", "--device", "cpu"]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run folder: a model for frames of 8 pixels and 6 actions."""
    folder = tmp_path_factory.mktemp("probe") / "run"
    (folder / "best").mkdir(parents=True)
    (folder / "metrics.jsonl").write_text("")
    write_model(folder / "best", seed=0)
    return folder


def write_model(folder, seed):
    torch.manual_seed(seed)
    backbone = S4Config(blocks=1, width=8, mlp=8, state=4, kernel="s4d")
    codec = CNNConfig(stages=1, multiplier=4, size=8)
    config = ParallelConfig(6, codec, LatentConfig(4, 4), units=8, backbone=backbone)
    save_model(folder, build(config), describe(config, step=5))


@pytest.fixture(scope="module")
def mazes(data):
    return Path(str(data("memory_maze_9x9").folder))


def probe(*words):
    """Run the command; return its exit status."""
    with pytest.raises(SystemExit) as ended:
        main([str(word) for word in words])
    return ended.value.code


def test_probe_writes_everything_and_prints_the_tables(run, mazes, capsys):
    assert probe("--checkpoint", run, "--data", mazes, "--task", "walls", "objects", *QUICK, "--episodes", 2) == 0
    out = run / "probing-test"
    assert {path.name for path in out.iterdir()} == {"results.json", "curves.csv", "curves.png", "maps.png"}
    found = json.loads((out / "results.json").read_text())
    walls = found["tasks"]["walls"]
    assert set(walls["rows"]) == {"probe", "constant", "labels"}
    assert 0 < walls["rows"]["probe"]["query"]["value"] < 1
    assert len(walls["rows"]["probe"]["per_step"]) == 1001
    assert {row["model"] for row in walls["published"]} >= {"constant", "S4WM", "supervised oracle"}
    objects = found["tasks"]["objects"]["rows"]["probe"]["query"]
    assert objects["rmse"] == pytest.approx(objects["value"] ** 0.5)
    origin = found["provenance"]
    assert origin["data_hash"].startswith("sha256:")
    assert origin["config"]["step"] == 5
    assert origin["settings"]["episodes"] == [8, 9]
    assert origin["settings"]["training"]["steps"] == 2
    curves = (out / "curves.csv").read_text().splitlines()
    assert curves[0] == "task,row,step,score"
    assert len(curves) == 1 + 2 * 3 * 1001
    printed = capsys.readouterr().out
    for words in ("walls:", "objects:", "fed the right answers", "constant answer", "paper: S4WM", "RMSE", "88.4 %"):
        assert words in printed


def test_features_lie_beside_the_checkpoint_and_serve_again(run, mazes, monkeypatch):
    words = ("--checkpoint", run, "--data", mazes, "--task", "position", *QUICK, "--episodes", 1)
    assert probe(*words) == 0
    [folder] = (run / "features").iterdir()
    files = {path.name: path.stat().st_mtime_ns for path in folder.glob("*.npy")}
    assert len(files) >= 9
    assert probe(*words) == 0
    assert {path.name: path.stat().st_mtime_ns for path in folder.glob("*.npy")} == files
    before = (run / "best" / "model.safetensors").read_bytes()
    write_model(run / "best", seed=1)
    assert probe(*words) == 0
    assert len(list((run / "features").iterdir())) == 2
    (run / "best" / "model.safetensors").write_bytes(before)


def test_a_data_set_given_by_url_is_probed_like_its_folder(run, mazes, tmp_path):
    found = {}
    for name, data in (("path", mazes), ("url", mazes.as_uri())):
        out = tmp_path / name
        words = ("--checkpoint", run, "--data", data, "--task", "position", *QUICK, "--episodes", 1, "--out", out)
        assert probe(*words) == 0
        assert {path.name for path in out.iterdir()} == {"results.json", "curves.csv", "curves.png", "maps.png"}
        found[name] = json.loads((out / "results.json").read_text())
        assert found[name]["provenance"]["data"] == str(data)
    hashes = {name: results["provenance"]["data_hash"] for name, results in found.items()}
    assert hashes["url"] == hashes["path"]
    one, other = (found[name]["tasks"]["position"]["rows"]["probe"]["query"] for name in ("url", "path"))
    assert one == other


def test_what_the_record_needs_is_read_before_the_work(run, mazes, capsys, monkeypatch):
    def unreadable(data):
        raise OSError(f"{data} is gone")

    def worked(*_):
        raise AssertionError("hours of training would be lost")

    monkeypatch.setattr(cli, "provenance", unreadable)
    monkeypatch.setattr(cli, "held_features", worked)
    assert probe("--checkpoint", run, "--data", mazes, *QUICK) == 2
    assert "is gone" in capsys.readouterr().err


def test_a_checkpoint_replaced_while_it_is_read_leaves_no_features(mazes, capsys, monkeypatch, tmp_path):
    (tmp_path / "best").mkdir()
    write_model(tmp_path / "best", seed=0)

    def overtaken(path, device):
        write_model(path, seed=1)
        return load_model(path, device)

    monkeypatch.setattr(probing, "load_model", overtaken)
    assert probe("--checkpoint", tmp_path, "--data", mazes, "--task", "position", *QUICK) == 2
    assert "was replaced while it was read; give the same command again" in capsys.readouterr().err
    assert not list(tmp_path.rglob("features"))


def test_the_constant_baseline_needs_no_checkpoint_and_is_that_of_the_published_tables(data, mazes, capsys, tmp_path):
    assert probe("--data", mazes, "--baseline", "constant", "--task", "walls", "--out", tmp_path) == 0
    source = data("memory_maze_9x9")
    train, test = (np.stack([source.read("maze_layout", e)[0] for e in source.split(s)]) for s in ("train", "test"))
    expected = probing_floors.wall_accuracy(probing_floors.likely_walls(train), test).mean()
    rows = json.loads((tmp_path / "results.json").read_text())["tasks"]["walls"]["rows"]
    assert set(rows) == {"constant"}
    assert rows["constant"]["query"]["value"] == pytest.approx(expected)
    assert f"{100 * expected:.1f} %" in capsys.readouterr().out
    assert not (tmp_path / "maps.png").exists()


def test_the_papers_rows_are_for_the_papers_mazes_alone(data, capsys):
    assert probe("--data", data("two_rooms").folder, "--baseline", "constant", "--task", "objects") == 0
    assert "paper" not in capsys.readouterr().out


def test_list_says_what_can_be_asked(data, capsys):
    assert probe("--data", data("two_rooms").folder, "--list") == 0
    named = [line.split()[0] for line in capsys.readouterr().out.splitlines() if "  " in line]
    assert named == ["layout", "wall_colors", "objects", "object_colors", "position"]


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--task", "doors", "--baseline", "constant"), "memory_maze_9x9 fits walls, objects, position"),
        ((), "--baseline constant, which needs none"),
        (("--baseline", "constant", "--episodes", "4"), "1 to 3 to give"),
        (("--baseline", "constant", "--train-episodes", "0"), "1 to 8 to give"),
        (("--checkpoint", "nowhere"), "nowhere holds no checkpoint"),
        (("--checkpoint", "RUN", "--baseline", "labels"), "is for tables without a model"),
        (("--checkpoint", "RUN", "--batch-size", "0"), "--batch-size 0: 1 or more"),
        (("--baseline", "labels", "--lr", "0"), "--lr 0.0: more than 0"),
        (("--baseline", "labels", "--seed", "-1"), "--seed -1: 0 or more"),
        (("--baseline", "labels", "--steps", "0"), "--steps 0: 1 or more"),
    ],
)
def test_mistakes_are_one_line(run, mazes, capsys, words, says):
    words = [run if word == "RUN" else word for word in words]
    assert probe("--data", mazes, *words) == 2
    complaint = capsys.readouterr().err.strip().splitlines()
    assert len(complaint) == 1
    assert complaint[0].startswith("probe: ")
    assert says in complaint[0]


def test_a_model_of_other_pictures_is_refused(run, data, capsys):
    assert probe("--data", data("distracting_memory").folder, "--checkpoint", run, "--device", "cpu") == 2
    assert "image height 8, the data have 40" in capsys.readouterr().err


def test_ctrl_c_says_that_nothing_is_lost(run, mazes, capsys, monkeypatch):
    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(cli, "examine", interrupted)
    assert probe("--data", mazes, "--checkpoint", run, "--device", "cpu") == 130
    assert "goes on from there" in capsys.readouterr().err
