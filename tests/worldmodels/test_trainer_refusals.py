"""What the trainer says before it starts, and what it refuses, in one line."""

import json
import shutil
import sys

import pytest
import torch

from longdream.tests.worldmodels.trainer_toys import (
    arguments,
    metrics,
    train,
)
from longdream.worldmodels import trainer
from longdream.worldmodels.accumulation import BatchLoss
from longdream.worldmodels.checkpoint import latest, load_model
from longdream.worldmodels.presets import PRESETS
from longdream.worldmodels.train_config import parse
from longdream.worldmodels.trainer import Trainer


@pytest.mark.filterwarnings("ignore:.*no supported trackers")
def test_a_tracker_that_is_not_installed_is_said(toy_data, tmp_path, monkeypatch):
    monkeypatch.setattr("accelerate.accelerator.filter_trackers", lambda *_: [])  # what accelerate then does
    with pytest.raises(ValueError, match=r"pip install 'longdream\[wandb\]'"):
        train(toy_data, tmp_path / "run", "--steps=1", "--tracker=wandb")


def test_a_large_model_on_a_cpu_is_announced_with_its_time(toy_data, tmp_path, capsys, monkeypatch):
    train(toy_data, tmp_path / "quiet", "--steps=3")
    assert "hours" not in capsys.readouterr().out
    monkeypatch.setattr(trainer, "LARGE", 0)
    train(toy_data, tmp_path / "run", "--steps=3")
    assert "hours" in capsys.readouterr().out
    assert metrics(tmp_path / "run") == metrics(tmp_path / "quiet")  # the estimate draws nothing


def test_memory_for_less_than_a_batch_is_announced_and_changes_nothing(toy_data, tmp_path, capsys):
    losses = []
    for gigabytes in (1, 1e-6, 0):
        out = tmp_path / f"run{gigabytes}"
        train(toy_data, out, "--steps=4", "--window=5", f"--cache-gb={gigabytes}")
        losses.append(metrics(out))
        assert ("less than one batch" in capsys.readouterr().out) == (gigabytes < 1)
    assert losses[0] == losses[1] == losses[2]


def test_a_loss_that_is_not_finite_stops_the_run(toy_data, tmp_path):
    out = tmp_path / "run"
    with pytest.raises(ValueError, match=r"not finite at step \d+ .*last good checkpoint is .*0000000[1-9]"):
        train(toy_data, out, "--steps=500", "--save-every=1", "--optim.lr=1e30", "--optim.warmup=4")
    assert all(torch.isfinite(p).all() for p in load_model(latest(out)).model.parameters())


def test_what_is_not_finite_in_another_process_stops_this_one_with_it(toy_data, tmp_path, monkeypatch):
    """Else it would go on, and wait for the other at the next exchange."""
    run = Trainer(parse(arguments(toy_data, tmp_path / "run")))
    with run.lock:
        finite = BatchLoss(torch.tensor(1.0), {}, None)
        run._check_finite(finite, torch.tensor(1.0))
        monkeypatch.setattr(run.accelerator, "reduce", lambda x, how: x + torch.inf)  # what the mean with an inf is
        with pytest.raises(ValueError, match=r"not finite at step 0 .*loss inf"):
            run._check_finite(finite, torch.tensor(1.0))


def test_wrong_input_is_one_line(toy_data, tmp_path, capsys, monkeypatch):
    def refused(*argv):
        monkeypatch.setattr(sys, "argv", ["train_wm.py", *argv])
        with pytest.raises(SystemExit) as raised:
            trainer.main()
        assert raised.value.code == 2
        error = capsys.readouterr().err
        assert "Traceback" not in error
        return error

    def fails(*argv):
        error = refused(*argv)
        assert error.count("\n") == 1
        return error

    data, out = str(toy_data), tmp_path / "run"
    assert "no model 's5'" in fails("--data", data, "--out", str(out), "--model", "s5")
    assert "no preset for images of 8 pixels" in fails("--data", data, "--out", str(out), "--model", "s4wm")
    assert "no folder" in fails("--data", str(tmp_path / "nothing"), "--out", str(out))
    assert "no run to resume" in fails(*arguments(data, out, "--resume"))
    assert "actions 5" in fails(*arguments(data, out, "--world-model.actions=5"))
    assert "--window must be 0 or more, not -1" in refused(*arguments(data, out, "--window=-1"))
    for value in ("-1", "inf", "nan"):
        assert f"--cache-gb must be 0 or more, not {value}" in refused(*arguments(data, out, f"--cache-gb={value}"))
    assert "--random-windows needs --window" in refused(*arguments(data, out, "--random-windows"))
    assert "--steps must be 1" in refused(*arguments(data, out, "--steps=0"))
    assert "multiple" in refused(*arguments(data, out, "--world-model.codec.stages=4"))
    assert not out.exists()
    train(data, out, "--steps=1")
    before = (out / "metrics.jsonl").read_bytes()
    capsys.readouterr()
    assert "add --resume" in fails(*arguments(data, out))
    assert (out / "metrics.jsonl").read_bytes() == before


def test_a_full_disk_is_said_before_anything_starts(toy_data, tmp_path, monkeypatch):
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=1000))
    with pytest.raises(ValueError, match="GB free"):
        train(toy_data, tmp_path / "run", "--steps=1")


def test_a_saved_config_can_start_another_run(toy_data, tmp_path):
    train(toy_data, tmp_path / "a", "--steps=2", "--optim.lr=0.005")
    config = str(tmp_path / "a" / "config.json")
    trainer.run(["--config", config, "--data", str(toy_data), "--out", str(tmp_path / "b"), "--steps=1"])
    saved = json.loads((tmp_path / "b" / "config.json").read_text())
    assert saved["train"]["optim"]["lr"] == 0.005
    assert saved["train"]["steps"] == 1
    assert saved["provenance"]["data_hash"].startswith("sha256:")


def test_another_checkpoint_format_is_refused(toy_data, tmp_path):
    train(toy_data, tmp_path / "run", "--steps=1")
    config = tmp_path / "run" / "best" / "config.json"
    saved = json.loads(config.read_text())
    for found, mend in ((1, "train again"), (99, "update longdream")):
        config.write_text(json.dumps(saved | {"format": found}))
        with pytest.raises(ValueError, match=f"format {found}.*{mend}"):
            load_model(tmp_path / "run")


def test_damaged_weights_are_named(toy_data, tmp_path):
    train(toy_data, tmp_path / "run", "--steps=1")
    weights = tmp_path / "run" / "best" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-10])
    with pytest.raises(ValueError, match=r"model\.safetensors does not fit"):
        load_model(tmp_path / "run")
    with pytest.raises(ValueError, match="holds no checkpoint"):
        load_model(tmp_path)


@pytest.mark.parametrize("damage", [lambda whole: b"", lambda whole: whole[:-100], lambda whole: b"x" * len(whole)])
def test_a_damaged_checkpoint_is_named_with_its_mend(toy_data, tmp_path, damage):
    out = tmp_path / "out"
    train(toy_data, out, "--steps=1")
    path = latest(out) / "trainer.pt"
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(ValueError, match=r"trainer\.pt is damaged: remove .*00000001, and the run begins anew"):
        train(toy_data, out, "--resume", "--steps=2")


def test_the_paper_presets_steps_are_the_papers():
    assert PRESETS["s4wm-2d"].steps == 100 * 8000 // 8  # epochs x training episodes / batch
    assert PRESETS["s4wm-3d"].steps == pytest.approx(57 * 28_000 / 8, rel=0.01)
