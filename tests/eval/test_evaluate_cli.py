"""The command `evaluate` on a real checkpoint and a real data set, and what a user can get wrong."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from longdream.datasets.episode import EpisodeSpec, core_arrays
from longdream.datasets.info import DatasetInfo
from longdream.datasets.splits import Splits
from longdream.datasets.store import scratch_folder, shards_folder, write_info, write_shard
from longdream.eval.cli import main, processes
from longdream.eval.examined import names as examined_names
from longdream.eval.findings import number
from longdream.tests.eval.eval_stubs import make_episode
from longdream.worldmodels.backbones.s4 import S4Config
from longdream.worldmodels.checkpoint import describe, save_model
from longdream.worldmodels.codecs.cnn import CNNConfig
from longdream.worldmodels.families import build
from longdream.worldmodels.latents import LatentConfig
from longdream.worldmodels.parallel import ParallelConfig
from longdream.worldmodels.rssm import RSSMConfig

EPISODES = 20  # 8 and 18 are the test split


def write_data(root: Path, size: int = 8) -> Path:
    arrays = core_arrays((size, size, 3), 3)
    info = DatasetInfo("toy", {}, EpisodeSpec(7, 4), 0, EPISODES, Splits(10, (9,), (8,)), arrays, EPISODES)
    for folder in (shards_folder(root), scratch_folder(root)):
        folder.mkdir(parents=True)
    write_info(root, info, replace=False)
    episodes = (make_episode(index, image=(size, size, 3)) for index in range(EPISODES))
    write_shard(root, info, info.shard_ranges()[0], episodes)
    return root


CODEC = CNNConfig(stages=1, multiplier=4, size=8)


def write_run(run: Path, seed: int = 0) -> Path:
    backbone = S4Config(blocks=1, width=8, mlp=8, state=4, kernel="s4d")
    return write_model(run, ParallelConfig(3, CODEC, LatentConfig(4, 4), units=8, backbone=backbone), seed)


def write_rssm(run: Path) -> Path:
    return write_model(run, RSSMConfig(3, CODEC, LatentConfig(4, 4), units=8, width=8), seed=2)


def write_model(run: Path, config: ParallelConfig | RSSMConfig, seed: int) -> Path:
    torch.manual_seed(seed)
    (run / "best").mkdir(parents=True)
    save_model(run / "best", build(config), describe(config, step=5))
    (run / "metrics.jsonl").write_text('{"step": 5, "kind": "validation", "loss": 3.5}\n')
    return run


@pytest.fixture(scope="module")
def paths(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    """A run and a data set."""
    root = tmp_path_factory.mktemp("evaluate")
    return str(write_run(root / "run")), str(write_data(root / "data"))


def evaluate(paths: tuple[str, str], *more: str) -> int:
    """Run the command; return its exit status."""
    run, data = paths
    with pytest.raises(SystemExit) as ended:
        main(["--checkpoint", run, "--data", data, "--device", "cpu", *more])
    assert isinstance(ended.value.code, int)
    return ended.value.code


def test_evaluate_writes_everything_and_prints_the_table(paths: tuple[str, str], capsys: pytest.CaptureFixture) -> None:
    assert evaluate(paths) == 0
    out = Path(paths[0]) / "evaluation-test"
    names = {"report.html", "results.json", "curves.csv", "frames.png", "curves.png", "losses.png"}
    assert {path.name for path in out.iterdir()} == names
    [found] = json.loads((out / "results.json").read_text())["runs"]
    assert found["episodes"] == [8, 18]
    assert found["provenance"]["config"]["step"] == 5
    assert found["provenance"]["settings"] == {
        "split": "test",
        "episodes": 2,
        "seed": 0,
        "batch_size": 8,
        "device": "cpu",
        "processes": 1,
    }
    assert found["provenance"]["data_hash"].startswith("sha256:")
    printed = capsys.readouterr().out
    for start, name in (("run ", "generation"), ("copy last ", "copy_last"), ("mean context ", "mean_context")):
        line = next(line for line in printed.splitlines() if line.startswith(start))
        assert line.removeprefix(start).split()[0] == number(found["errors"][name]["mse"])
    for words in (
        "reconstruction MSE",
        "PSNR",
        "in imagination",
        "majority",
        "The paper has no figures",
        "report.html",
    ):
        assert words in printed


def test_several_runs_are_held_to_the_same_episodes_side_by_side(
    paths: tuple[str, str], tmp_path: Path, capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, data = Path(paths[0]), paths[1]
    others = [write_run(tmp_path / "new" / "run", seed=1), write_rssm(tmp_path / "rssm")]
    monkeypatch.chdir(tmp_path)
    assert evaluate((str(run), data), "--checkpoint", str(run), *map(str, others)) == 0
    out = tmp_path / "evaluation-data-test"
    found = json.loads((out / "results.json").read_text())["runs"]
    assert [one["name"].split("/")[-1] for one in found] == ["run", "run", "rssm"]
    assert len({one["name"] for one in found}) == 3
    assert [one["provenance"]["checkpoint"] for one in found] == [str(path / "best") for path in (run, *others)]
    assert [one["provenance"]["config"]["family"] for one in found] == ["parallel", "parallel", "rssm"]
    printed = capsys.readouterr().out
    for one in found:
        assert one["errors"]["copy_last"] == found[0]["errors"]["copy_last"]
        assert f"\n{one['name']} " in printed
    assert len({one["errors"]["generation"]["mse"] for one in found}) == 3
    assert evaluate(paths, "--out", str(tmp_path / "alone")) == 0
    [alone] = json.loads((tmp_path / "alone" / "results.json").read_text())["runs"]
    assert alone["errors"] == found[0]["errors"]  # company changes nothing
    assert set((out / "curves.csv").read_text().splitlines()[0].split(",")) == {
        "step", "copy_last", "mean_context", *(one["name"] for one in found)
    }  # fmt: skip


def test_checkpoints_of_one_run_are_told_apart(paths: tuple[str, str], tmp_path: Path) -> None:
    run = write_run(tmp_path / "run")
    shutil.copytree(run / "best", run / "checkpoints" / "00000005")
    both = [run / "best", run / "checkpoints" / "00000005"]
    assert examined_names(both) == ["best", "00000005"]
    assert examined_names([run / "best"]) == ["run"]
    assert examined_names([run / "best", Path(paths[0]) / "best"])[0].endswith("/run")
    with pytest.raises(ValueError, match="is given twice"):
        examined_names([run / "best", tmp_path / "run" / "." / "best"])


def test_floors_of_a_real_data_set_are_those_of_its_episodes(paths: tuple[str, str], tmp_path: Path) -> None:
    assert evaluate(paths, "--out", str(tmp_path / "out")) == 0
    with (tmp_path / "out" / "curves.csv").open() as file:
        rows = list(csv.DictReader(file))
    images = np.stack([make_episode(index, image=(8, 8, 3)).obs for index in (8, 18)]) / 255
    expected = ((images[:, 7:] - images[:, 6:7]) ** 2).sum((2, 3, 4)).mean(0)
    assert [float(row["copy_last"]) for row in rows] == pytest.approx(list(expected), rel=1e-6)


def test_batch_size_leaves_the_figures_of_a_real_model_alone(paths: tuple[str, str], tmp_path: Path) -> None:
    found = []
    for size in ("1", "2"):
        assert evaluate(paths, "--out", str(tmp_path / size), "--batch-size", size) == 0
        [one] = json.loads((tmp_path / size / "results.json").read_text())["runs"]
        found.append(one["errors"])
    for name in ("generation", "reconstruction"):
        assert found[0][name]["per_episode"] == pytest.approx(found[1][name]["per_episode"], rel=1e-5)


def test_episodes_and_split_choose(paths: tuple[str, str], tmp_path: Path) -> None:
    assert evaluate(paths, "--out", str(tmp_path), "--split", "validation", "--episodes", "1") == 0
    assert json.loads((tmp_path / "results.json").read_text())["runs"][0]["episodes"] == [9]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--episodes", "3"], "--episodes 3: the test split of"),
        (["--episodes", "0"], "--episodes 0"),
        (["--split", "tset"], "'tset'"),
        (["--device", "gpu"], "no device 'gpu'"),
        (["--device", "cuda:99"], "--device cuda:99: this machine has"),
        (["--batch-size", "0"], "batches of 0"),
        (["--recall-given", "0", "4"], "4 frames after the teleport: the query has 4"),
        (["--checkpoint", "nowhere"], "nowhere"),
        (["--data", "nowhere"], "nowhere"),
    ],
)
def test_a_users_mistake_is_one_line(
    paths: tuple[str, str], options: list[str], words: str, capsys: pytest.CaptureFixture, tmp_path: Path
) -> None:
    assert evaluate(paths, "--out", str(tmp_path), *options) == 2
    error = capsys.readouterr().err
    assert error.startswith("evaluate: ")
    assert words in error
    assert error.count("\n") == 1


def test_ctrl_c_is_one_line(
    paths: tuple[str, str], capsys: pytest.CaptureFixture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stopped(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("longdream.eval.cli.evaluate_all", stopped)
    assert evaluate(paths, "--out", str(tmp_path)) == 130
    error = capsys.readouterr().err
    assert error.startswith("evaluate: stopped")
    assert error.count("\n") == 1


def test_data_of_another_kind_are_refused_before_the_work(
    paths: tuple[str, str], capsys: pytest.CaptureFixture, tmp_path: Path
) -> None:
    data = write_data(tmp_path / "big", size=16)
    with pytest.raises(SystemExit):
        main(["--checkpoint", paths[0], "--data", str(data), "--out", str(tmp_path / "out")])
    assert "image height 8, the data have 16" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_processes_that_did_not_join_are_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    processes("cpu")  # the state of this process is settled: one process
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(ValueError, match="2 processes were launched but 1 joined"):
        processes("cpu")


def test_help_teaches(capsys: pytest.CaptureFixture) -> None:
    with pytest.raises(SystemExit) as exit_:
        main(["--help"])
    assert exit_.value.code == 0
    text = capsys.readouterr().out
    for words in ("--checkpoint", "--batch-size", "imagines the query", "report.html", "Example"):
        assert words in text
