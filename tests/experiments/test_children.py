"""The processes of a sweep: their ends, what they say, and how they are stopped."""

import signal
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from longdream.experiments.children import Children, Failed, Stopped
from longdream.worldmodels.run_folder import LOCK, lock

SAVES = """
import pathlib, signal, sys, time
def save(number, frame):
    pathlib.Path(sys.argv[1]).write_text(f"saved at {number}")
    sys.exit(128 + number)
signal.signal(signal.SIGINT, save)
print("ready", flush=True)
time.sleep(60)
"""


def python(text, *arguments):
    return [sys.executable, "-c", text, *map(str, arguments)]


def test_output_goes_to_the_log_and_threads_to_the_child(tmp_path):
    children, log = Children(threads=3), tmp_path / "logs" / "a.log"
    for _ in range(2):
        children.run(python("import os; print('threads', os.environ['OMP_NUM_THREADS'])"), log)
    assert log.read_text().count("\nthreads 3\n") == 2  # appended


@pytest.mark.parametrize(
    ("said", "complaint"),
    [
        ("train_wm: no such thing: 3\nTraceback\nCalledProcessError: 1", "train_wm: no such thing: 3"),
        ("step 1\rstep 2\nKeyError: 'x'\n\n", "KeyError: 'x'"),
        ("│ Error parsing --x: 0.5 is no int │\n╰────╯", "Error parsing --x: 0.5 is no int"),
        ("Killed", "Killed"),
        ("", "it said nothing"),
    ],
)
def test_a_failure_says_what_the_child_complained_of(tmp_path, said, complaint):
    log = tmp_path / "a.log"
    log.write_text("evaluate: an older complaint: of the run before\n")
    with pytest.raises(Failed) as raised:
        Children(1).run(python(f"import sys; sys.stdout.write({said!r}); sys.exit(3)"), log)
    assert str(raised.value) == f"{complaint} (exit status 3; {log})"


def test_a_stop_reaches_every_child_once_and_nothing_starts_after_it(tmp_path):
    children = Children(1)
    with ThreadPoolExecutor(2) as pool:
        jobs = [pool.submit(children.run, python(SAVES, tmp_path / n), tmp_path / f"{n}.log") for n in "ab"]
        while sum("\nready\n" in log.read_text() for log in tmp_path.glob("*.log")) < 2:
            time.sleep(0.01)
        children.stop(signal.SIGINT)
        for job in jobs:
            with pytest.raises(Stopped):
                job.result(timeout=30)
    assert [(tmp_path / name).read_text() for name in "ab"] == ["saved at 2"] * 2
    with pytest.raises(Stopped):
        children.run(python("print('late')"), tmp_path / "c.log")
    assert "late\n" not in (tmp_path / "c.log").read_text()


def test_a_folder_at_which_another_still_works_is_waited_for(tmp_path, capsys):
    children = Children(1)
    children.wait_for_folder(tmp_path / "not there yet")
    handle = lock(tmp_path)
    threading.Timer(0.7, handle.close).start()
    began = time.monotonic()
    children.wait_for_folder(tmp_path)
    assert time.monotonic() - began >= 0.6
    assert capsys.readouterr().out.count("waiting: another trainer is at work in") == 1
    with lock(tmp_path):
        threading.Timer(0.2, children.stop, [signal.SIGINT]).start()
        with pytest.raises(Stopped):
            children.wait_for_folder(tmp_path)
    assert (tmp_path / LOCK).exists()
