"""`longdream reproduce` in miniature: stopped by its budget, by Ctrl-C and by kill -9, it comes to the same figures."""

import json
import signal
from pathlib import Path
from typing import NamedTuple

import pytest
import torch

from longdream.collectors.cli import main as collect
from longdream.eval.cli import main as evaluate
from longdream.experiments import preview, reproduce
from longdream.experiments.commands import flags
from longdream.experiments.described import is_there
from longdream.experiments.progress import progress
from longdream.experiments.scales import Choice, plan, read_scale
from longdream.experiments.schedule import Deadline
from longdream.experiments.sweep import Outcome
from longdream.tests.experiments.reproduce_toys import measured, toy_scale
from longdream.tests.experiments.sweep_toys import COLLECT, InProcess
from longdream.worldmodels import trainer
from longdream.worldmodels.checkpoint import latest
from longdream.worldmodels.run_folder import lock

PLACES = ("runs", "data", "out")


class Free(NamedTuple):
    """What is left of a disk."""

    free: float


@pytest.fixture
def toy(tmp_path):
    """The words of a command whose table has one row and one seed, and its plan."""
    scale = toy_scale(tmp_path / "toy.yaml")
    words = ["table2", "--scale", str(scale), "--models", "s4wm", "--seeds", "0"]
    words += [word for place in PLACES for word in (f"--{place}", str(tmp_path / place))]
    choice = Choice(tmp_path / "runs", tmp_path / "data", seeds=(0,), models=("s4wm",))
    return words, plan(read_scale(str(scale)), "table2", choice)


def run(words, capsys):
    with pytest.raises(SystemExit) as ended:
        reproduce.main(words)
    return ended.value.code, capsys.readouterr()


def by_hand(config, folder):
    """Train and evaluate as one would without `reproduce`, in one piece; return what was measured."""
    run = config.runs()[0]
    data, out = str(config.data["dm"].path), str(folder / "by hand")
    options = ["--cpu-threads=1", *flags(config.options(run.model, run.data))]
    assert trainer.run([f"--data={data}", f"--out={out}", f"--steps={config.steps}", *options]) == 0
    with pytest.raises(SystemExit):
        evaluate(["--checkpoint", out, "--data", data, *flags(config.evaluate)])
    return json.loads((folder / "by hand" / "evaluation-test" / "results.json").read_text())["runs"][0]


def test_stopped_by_its_budget_it_goes_on_and_comes_to_the_same(toy, tmp_path, capsys, monkeypatch):
    """Ctrl-C and kill -9 reach it, and its processes, as they reach a sweep's: test_sweep.py."""
    words, config = toy
    folder, work = config.runs()[0].folder, InProcess(monkeypatch)
    with monkeypatch.context() as clock:  # time is over when the first checkpoint is there
        work.stop_at = 10
        clock.setattr(Deadline, "over", property(lambda self: latest(folder) is not None))
        status, said = run([*words, "--budget-minutes", "60"], capsys)
        work.stop_at = 0
    assert status == 0, said
    assert "the time is over; the same command goes on from here" in said.out
    assert "**Partial**: 0 of 6 runs" in said.out
    assert progress(config.runs()[0]).step == 10

    tables = []
    write = reproduce.write_table
    monkeypatch.setattr(reproduce, "write_table", lambda order: tables.append(write(order)) or tables[-1])
    status, said = run([*words, "--results-md", str(tmp_path / "RESULTS.md")], capsys)
    assert status == 0, said
    assert "**Partial**: 1 of 6 runs are through all their steps and measured" in said.out
    shares = [standing.share for found in tables for standing in found if standing.model == "s4wm"]
    assert set(shares) == {0.5, 1}  # written after a round, and at the end
    ours = json.loads((folder / "evaluation-00000040" / "results.json").read_text())["runs"][0]
    theirs = by_hand(config, tmp_path)
    assert ours["errors"] == theirs["errors"]
    assert ours["reward"] == theirs["reward"]
    assert "1 of 2 seeds, 40 of 40 steps" in (tmp_path / "RESULTS.md").read_text()

    status, said = run(words, capsys)  # nothing is left to do
    assert status == 0
    assert "training from" not in said.out


def test_a_signal_is_in_the_exit_status():
    assert reproduce.status(Outcome({}, signal.SIGINT, False)) == 130
    assert reproduce.status(Outcome({"x": "it failed"}, None, False)) == 1
    assert reproduce.status(Outcome({}, None, True)) == 0


def test_a_plan_is_shown_and_nothing_done(toy, tmp_path, capsys):
    words, _ = toy
    status, said = run([*words, "--dry-run", "--budget-minutes", "0.001"], capsys)
    assert status == 0
    assert "dm/s4wm/seed-0         40 steps of 70 frames left" in said.out
    assert "to be collected" in said.out
    assert "of which this call's 0.001 min are" in said.out
    assert not any((tmp_path / place).exists() for place in PLACES)
    status, said = run(["figure3", *words[1:5], "--dry-run"], capsys)
    assert status == 0
    assert "--model=s4wm-tiny" in said.out


def test_the_figure_of_speed_refuses_what_it_does_not_have(toy, capsys):
    words, _ = toy
    words = ["figure3", *words[1:3], "--dry-run"]
    status, said = run([*words, "--models", "s4wm"], capsys)
    assert (status, said.out.count("--model=s4wm-tiny"), said.out.count("--model=")) == (0, 1, 1)
    for more, message in ((["--models", "tssm-xl-256"], "--models tssm-xl-256: this table has"),
                          (["--seeds", "1"], "--seeds: figure3 has none")):  # fmt: skip
        status, said = run([*words, *more], capsys)
        assert status == 2
        assert message in said.err


def test_a_trial_has_folders_of_its_own(toy, capsys, monkeypatch, tmp_path):
    words, _ = toy
    monkeypatch.chdir(tmp_path)
    status, said = run(["table2", *words[1:3], "--steps", "3", "--dry-run"], capsys)
    assert status == 0
    assert "runs/reproduce/toy-trial-3" in said.out
    assert "3 steps of 70 frames left" in said.out


def test_ctrl_c_while_no_run_is_at_work_is_one_line(toy, capsys, monkeypatch):
    def interrupted(_):
        raise KeyboardInterrupt

    monkeypatch.setattr(reproduce, "write_table", interrupted)
    monkeypatch.setattr(reproduce.Sweep, "run", lambda self: Outcome({}, None, False))
    status, said = run(toy[0], capsys)
    assert (status, said.err) == (130, "reproduce: stopped; the same command goes on from here\n")


def test_the_table_has_all_rows_whatever_is_worked_on(toy, tmp_path, capsys, monkeypatch):
    words, config = toy
    measured(config.runs()[0], 40, 0.9, 0.75)
    monkeypatch.setattr(reproduce.Sweep, "run", lambda self: Outcome({}, None, False))
    status, _ = run([*words[:3], "--models", "rssm", "--seeds", "5", *words[7:]], capsys)
    assert status == 0
    text = (tmp_path / "out" / "table.md").read_text()
    assert "| S4WM | 90 % | 75 % | 1 of 3 seeds, 40 of 40 steps" in text
    assert "| TSSM-XL | - | - | 0 of 3 seeds |" in text
    assert "Seeds 0, 1, 5;" in text


def test_a_plan_says_when_the_disk_may_be_too_small_and_what_it_does_not_know(toy, monkeypatch):
    config, scale = toy[1], read_scale(toy[0][2])
    assert "TOO SMALL" not in preview.preview(config, scale, None)
    monkeypatch.setattr(preview.shutil, "disk_usage", lambda path: Free(1e6))
    assert "THE DISK MAY BE TOO SMALL: " in preview.preview(config, scale, None)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert "the scale's speed" in preview.preview(config, scale, None)  # which is a CPU's, as the toy's device is
    config.train.pop("device")
    said = preview.preview(config, scale, None)
    assert said.count("time not known before its first steps") == 2
    assert "the scale's speed" not in said


def test_wrong_input_is_one_line(toy, tmp_path, capsys, monkeypatch):
    words, config = toy
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    for more, message in (
        (["--scale", "huge"], "no scale 'huge'"),
        (["--budget-minutes", "0"], "--budget-minutes 0: above 0"),
        (["--models", "s5wm"], "--models s5wm: this table has"),
        (["--steps", "0"], "--steps 0: 1 or more"),
        (["--device", "cuda"], "this machine has no GPU"),
        (["--results-md", str(tmp_path)], "it is a folder"),
        (["--out", words[2]], "File exists"),
    ):
        status, said = run([*words, *more], capsys)
        assert (status, said.err.count("\n")) == (2, 1)
        assert message in said.err
    config.out.mkdir(exist_ok=True)
    with lock(config.out):
        status, said = run(words, capsys)
    assert status == 2
    assert "at work in" in said.err


def test_data_that_are_there_are_not_collected_again(toy, tmp_path):
    _, config = toy
    data = config.data["dm"]
    assert not is_there(data)
    words = flags(COLLECT | {"out": data.path})
    collect([word.replace("--n=20", "--n=10") for word in words])
    assert not is_there(data)  # fewer
    collect(words)
    assert is_there(data)
    next(Path(data.path).glob("shards/*")).rename(tmp_path / "lost")
    assert not is_there(data)
