"""`longdream reproduce` in miniature: stopped by its budget, by Ctrl-C and by kill -9, it comes to the same figures."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import psutil
import pytest

from longdream.collectors.cli import main as collect
from longdream.eval.cli import main as evaluate
from longdream.experiments import reproduce
from longdream.experiments.commands import flags
from longdream.experiments.described import is_there
from longdream.experiments.progress import progress
from longdream.experiments.scales import Choice, plan, read_scale
from longdream.experiments.schedule import Deadline
from longdream.tests.experiments.reproduce_toys import toy_scale
from longdream.tests.experiments.sweep_toys import COLLECT
from longdream.worldmodels import trainer
from longdream.worldmodels.checkpoint import latest
from longdream.worldmodels.run_folder import lock

PLACES = ("runs", "data", "out")


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


def wait_for_checkpoint(folder, after=0):
    deadline = time.monotonic() + 90
    while (checkpoint := latest(folder)) is None or int(checkpoint.name) <= after:
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.005)


def kill_after(words, folder, step):
    process = subprocess.Popen([sys.executable, "-m", "longdream.experiments.reproduce", *words])
    wait_for_checkpoint(folder, step)
    for one in [*psutil.Process(process.pid).children(recursive=True), process]:
        one.kill()
    process.wait(30)


def test_stopped_in_every_way_it_comes_to_the_same(toy, tmp_path, capsys, monkeypatch):
    words, config = toy
    folder = config.runs()[0].folder
    with monkeypatch.context() as clock:  # time is over when the first checkpoint is there
        clock.setattr(Deadline, "over", property(lambda self: latest(folder) is not None))
        status, said = run([*words, "--budget-minutes", "60"], capsys)
    assert status == 0, said
    assert "the time is over; the same command goes on from here" in said.out
    assert "**Partial**: 0 of 1 runs" in said.out
    stopped = progress(config.runs()[0]).step
    assert 0 < stopped < 40

    threading.Thread(target=lambda: (wait_for_checkpoint(folder, stopped), os.kill(os.getpid(), signal.SIGINT))).start()
    status, said = run(words, capsys)
    assert status == 128 + signal.SIGINT, said
    stopped = progress(config.runs()[0]).step
    kill_after(words, folder, stopped)

    status, said = run([*words, "--results-md", str(tmp_path / "RESULTS.md")], capsys)
    assert status == 0, said
    assert "**Complete**: 1 of 1 runs are through all their steps." in said.out
    ours = json.loads((folder / "evaluation-00000040" / "results.json").read_text())["runs"][0]
    theirs = by_hand(config, tmp_path)
    assert ours["errors"] == theirs["errors"]
    assert ours["reward"] == theirs["reward"]
    assert (folder / "evaluation-00000020" / "results.json").exists()
    assert "1 of 1 seeds, 40 of 40 steps" in (tmp_path / "RESULTS.md").read_text()

    status, said = run(words, capsys)  # nothing is left to do
    assert status == 0
    assert "training from" not in said.out


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


def test_wrong_input_is_one_line(toy, tmp_path, capsys):
    words, config = toy
    for more, message in (
        (["--scale", "huge"], "no scale 'huge'"),
        (["--budget-minutes", "0"], "--budget-minutes 0: above 0"),
        (["--models", "s5wm"], "--models s5wm: this table has"),
    ):
        status, said = run([*words, *more], capsys)
        assert (status, said.err.count("\n")) == (2, 1)
        assert message in said.err
    config.out.mkdir()
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
