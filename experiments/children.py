"""The processes that a sweep starts: each writes to a log, and a stop reaches all of them."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from threading import Lock

from ..worldmodels.run_folder import LOCK, lock
from .watch import say

POLL = 0.5  # seconds between looks at a folder in which another process is still at work


class Stopped(Exception):
    """The sweep is asked to stop: nothing new is started."""


class Failed(Exception):
    """A child ended with an error; the text is what it complained of."""


class Children:
    """Child processes in sessions of their own: a Ctrl-C comes to them from here, once, and not from the terminal too.

    Args:
        threads: how many each may use.
    """

    def __init__(self, threads: int) -> None:
        self.environment = os.environ | {"OMP_NUM_THREADS": str(threads)}
        self.stopping = False
        self._lock = Lock()
        self._running: set[subprocess.Popen[bytes]] = set()

    def run(self, command: Sequence[str], log: Path) -> None:
        """Run a command to its end, its output appended to `log`.

        Raises:
            Stopped: a stop was asked for before its end.
            Failed: it ended with an error.
        """
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("ab") as output:
            output.write(f"\n$ {shlex.join(command)}\n".encode())
            output.flush()
            begin = output.tell()
            with self._start(command, output.fileno()) as child:
                status = child.wait()
        if self.stopping:
            raise Stopped
        if status:
            raise Failed(f"{_complaint(log, begin)} (exit status {status}; {log})")

    def stop(self, number: int) -> None:
        """Send a signal to all that run, and start nothing more."""
        with self._lock:
            self.stopping = True
            for child in self._running:
                if child.poll() is None:
                    os.killpg(child.pid, number)

    def wait_for_folder(self, folder: Path) -> None:
        """Wait until nobody works in a run folder, and say so: a killed sweep leaves its runs at work.

        Raises:
            Stopped: a stop was asked for meanwhile.
        """
        told = False
        while (folder / LOCK).exists():
            try:
                lock(folder).close()
            except ValueError as error:
                self.check()
                if not told:
                    told = True
                    say(f"waiting: {error}")
                time.sleep(POLL)
            else:
                return

    def check(self) -> None:
        """Raise Stopped if a stop was asked for."""
        if self.stopping:
            raise Stopped

    @contextmanager
    def _start(self, command: Sequence[str], output: int) -> Iterator[subprocess.Popen[bytes]]:
        with self._lock:  # a stop comes before or after, and never between
            self.check()
            child = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=self.environment,
                start_new_session=True,
            )
            self._running.add(child)
        yield child
        with self._lock:
            self._running.remove(child)


def _complaint(log: Path, begin: int) -> str:
    """Return what a child complained of in a log after `begin`: the line of our own commands, an error, or the last."""
    with log.open("rb") as handle:
        handle.seek(begin)
        text = handle.read().decode(errors="replace")
    lines = [line for part in re.split(r"[\r\n]+", text) if (line := part.strip("│╭╮╰╯─ "))]
    for pattern in (r"(train_wm|evaluate|collect|probe|benchmark)\b.*: ", r".*[Ee]rror", ""):
        if found := [line for line in lines if re.match(pattern, line)]:
            return found[-1]
    return "it said nothing"
