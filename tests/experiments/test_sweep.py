"""Whole sweeps in miniature: through, stopped, killed, and with a run that fails."""

import contextlib
import io
import json
import os
import signal
import subprocess
import sys
import threading
import time

import psutil
import pytest

from longdream.experiments import cli
from longdream.experiments.plan import read_sweep
from longdream.experiments.progress import failure, progress
from longdream.tests.experiments.sweep_toys import S4, InProcess, pretend, sweep_of, write_sweep
from longdream.worldmodels.checkpoint import latest
from longdream.worldmodels.run_folder import lock

MINUTES = 0.06  # more than 40 steps take by the clock of `Readings`


class Readings:
    """A clock that goes by how often it is read: three times a step here."""

    def __init__(self):
        self.count = 0

    def perf_counter(self):
        self.count += 1
        return 0.02 * self.count


def sweep(path):
    """Run a sweep to its end, or to where it is stopped; return its exit status and what it said."""
    with contextlib.redirect_stdout(io.StringIO()) as said, pytest.raises(SystemExit) as ended:
        cli.main([str(path)])
    return ended.value.code, said.getvalue()


def first_run(path):
    return read_sweep(path).runs()[0]


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A sweep that nobody stopped, one of whose models cannot be built."""
    path = tmp_path_factory.mktemp("whole") / "sweep.yaml"
    models = {"s4": S4, "broken": S4 | {"world_model.backbone.width": 0.5}}
    write_sweep(path, models=models, minutes=MINUTES, parallel=2)
    with pytest.MonkeyPatch.context() as patch:
        InProcess(patch, others="broken")
        patch.setattr("longdream.worldmodels.clock.time", Readings())
        return path, *sweep(path)


def test_a_failing_run_is_reported_and_the_others_go_on(whole):
    path, status, said = whole
    assert status == 1, said
    assert "dm/broken/seed-0  FAILED: Error parsing --world-model.backbone.width" in said
    run = first_run(path)
    assert "dm/s4/seed-0      equal steps: 40 steps" in said
    assert progress(run).seconds >= 60 * MINUTES
    assert f"equal time: {progress(run).step:,} steps" in said or progress(run).step == 40
    text = (path.parent / "out" / "summary.md").read_text()
    assert text.count("| broken | - | 0 of 1 |") == 2
    assert text.count("| 1 of 1 |") == 2
    assert (path.parent / "out" / "generation.png").exists()


def wait_for_checkpoint(path, after=0):
    deadline = time.monotonic() + 90
    while (checkpoint := latest(first_run(path).folder)) is None or int(checkpoint.name) <= after:
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.005)


def interrupt_at_a_checkpoint(path):
    wait_for_checkpoint(path)
    os.kill(os.getpid(), signal.SIGINT)


def kill_after_a_checkpoint(path, after):
    """What a power cut does: the sweep and its run end at once."""
    process = subprocess.Popen([sys.executable, "-m", "longdream.experiments.cli", str(path)])
    wait_for_checkpoint(path, after)
    for one in [*psutil.Process(process.pid).children(recursive=True), process]:
        one.kill()
    process.wait(30)


def test_stopped_and_killed_it_comes_to_the_same(whole, tmp_path):
    path = write_sweep(tmp_path / "sweep.yaml", data={"dm": {"path": str(whole[0].parent / "dm")}})
    run = first_run(path)
    threading.Thread(target=interrupt_at_a_checkpoint, args=[path]).start()
    status, said = sweep(path)
    assert status == 128 + signal.SIGINT, said
    assert "stopped; the same command goes on from here" in said
    stopped = progress(run).step
    assert 0 < stopped < 40

    kill_after_a_checkpoint(path, stopped)
    assert stopped < progress(run).step < 40

    status, said = sweep(path)
    assert status == 0, said
    assert "s4/seed-0  at step" in said
    folders = [run.folder / "evaluation-00000040", first_run(whole[0]).folder / "evaluation-00000040"]
    ours, theirs = (json.loads((folder / "results.json").read_text())["runs"][0] for folder in folders)
    assert ours["errors"] == theirs["errors"]
    assert ours["reward"] == theirs["reward"]
    before = folders[0].stat()
    status, said = sweep(path)  # nothing is left to do
    assert status == 0
    assert "done: 40 steps" in said
    assert "training" not in said
    assert folders[0].stat() == before


def test_wrong_input_is_one_line(tmp_path, capsys):
    def refused(path):
        with pytest.raises(SystemExit) as raised:
            cli.main([str(path)])
        assert raised.value.code == 2
        return capsys.readouterr().err

    assert "No such file" in refused(tmp_path / "nothing.yaml")
    path = write_sweep(tmp_path / "sweep.yaml")
    (tmp_path / "out").mkdir()
    with lock(tmp_path / "out"):
        assert "at work in" in refused(path)


def test_what_cannot_be_done_is_said(tmp_path, capsys):
    """No process is started: there are no data, or the run has gone too far."""
    config = sweep_of(tmp_path, data={"gone": {"path": str(tmp_path / "gone")}})
    config.out.mkdir()
    assert cli.run(config) == 1
    assert "there is no data set in" in capsys.readouterr().out
    assert all("there is no data set in" in failure(config, run) for run in config.runs())
    (tmp_path / "gone").mkdir()
    (tmp_path / "gone" / "dataset.json").touch()
    for run in config.runs():
        pretend(run, {40: 1.0, 50: 2.0}, [])
    pretend(config.runs()[1], {40: 1.0}, [40])
    assert cli.run(config) == 1
    said = capsys.readouterr().out
    assert said.count("it is at step 50 already and was not evaluated at 40") == 3
    assert [failure(config, run) is None for run in config.runs()] == [False, True, False, False]
    assert "0 of 2" not in (config.out / "summary.md").read_text().split("rssm")[1]
