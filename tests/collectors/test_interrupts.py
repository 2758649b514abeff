"""Ctrl-C reaches the process that was started by hand, and none that it starts."""

import subprocess
import sys

PARENT = """
import os, signal, time
from multiprocessing import get_context
from longdream.collectors.interrupts import interrupts_held

def child():
    time.sleep(0.5)

if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell lets what runs in its background ignore it
    process = get_context("spawn").Process(target=child)
    with interrupts_held():
        process.start()
    os.kill(process.pid, signal.SIGINT)
    process.join()
    print(process.exitcode)
    signal.raise_signal(signal.SIGINT)
"""


def test_the_first_process_that_is_started_does_not_hear_ctrl_c(tmp_path):
    """In a process of its own: Python's resource tracker, which lifts the mask, is started once."""
    (tmp_path / "parent.py").write_text(PARENT)
    done = subprocess.run([sys.executable, tmp_path / "parent.py"], capture_output=True, text=True, timeout=60)
    assert done.stdout.strip() == "0", done.stderr
    assert "KeyboardInterrupt" in done.stderr, "the parent hears it"
