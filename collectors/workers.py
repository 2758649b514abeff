"""Making shards: in this process, or in several that share nothing. A shard's bytes do not depend on who makes it."""

from __future__ import annotations

import dataclasses
import signal
import threading
import traceback
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from types import FrameType, TracebackType
from typing import Any

from ..datasets.episode import Episode
from ..datasets.folder import Where
from ..datasets.frames.scene import BLANK
from ..datasets.info import DatasetInfo, ShardRange
from ..datasets.target import open_target
from .interrupts import interrupts_held

Advance = Callable[[int], object]  # called with the frames of each episode made
CHECK_SECONDS = 0.5  # between looks at whether Ctrl-C was pressed, while no worker says anything


@dataclass(frozen=True)
class Job:
    """All that a worker has to know."""

    root: Where  # of the data set
    info: DatasetInfo
    options: Any  # the environment's


def make_shard(job: Job, what: ShardRange, advance: Advance) -> None:
    """Make the episodes of one shard, and the shard.

    Raises:
        RuntimeError: naming the episode, if its environment or policy fails.
        OSError: if the shard cannot be written.
    """
    from .catalogue import ENVIRONMENTS
    from .rollout import collect_episode, episode_seed

    environment, options = ENVIRONMENTS[job.info.environment], job.options
    if job.info.recipe is not None:
        options = dataclasses.replace(options, renderer=BLANK)

    def episodes() -> Iterator[Episode]:
        for index in range(what.first, what.stop):
            seed = episode_seed(job.info.seed, index)
            try:
                episode = collect_episode(environment, options, seed)
            except Exception as error:  # a bug in an environment: whoever mends it needs the traceback and the seed
                raise RuntimeError(
                    f"episode {index} of {job.info.environment} (seed {seed}) failed: {error}"
                ) from error
            advance(len(episode))
            yield episode

    open_target(job.root).write_shard(job.info, what, episodes())


def make_shards(job: Job, missing: Sequence[ShardRange], workers: int, advance: Advance) -> None:
    """Make shards with up to `workers` processes; with one, or for one shard, without any other process.

    On Ctrl-C, or if one fails, the shards in the making are dropped and those committed stay.

    Raises:
        OSError: if the disk is full, a worker died, or the like.
        RuntimeError: if an environment fails; with the worker's traceback.
    """
    workers = min(workers, len(missing))
    if workers <= 1:
        _make_here(job, missing, advance)
    else:
        _Team(job, missing).run(workers, advance)


def _make_here(job: Job, missing: Sequence[ShardRange], advance: Advance) -> None:
    with PoliteInterrupt() as interrupt:

        def advance_or_stop(frames: int) -> None:
            advance(frames)
            interrupt.check()

        for what in missing:
            make_shard(job, what, advance_or_stop)
            interrupt.check()


class PoliteInterrupt:
    """Lets Ctrl-C wait for `check`: zarr's threads would go on writing a shard that is being removed.

    And what a signal raises can be lost: Python ignores what is raised while it collects garbage. A second Ctrl-C does
    not wait. Outside the main thread, which alone can catch signals, nothing changes.
    """

    def __init__(self) -> None:
        self._asked = False
        self._before: Any = None

    def __enter__(self) -> PoliteInterrupt:
        if threading.current_thread() is threading.main_thread():
            self._before = signal.signal(signal.SIGINT, self._on_signal)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._before is not None:
            signal.signal(signal.SIGINT, self._before)

    def check(self) -> None:
        """Raise KeyboardInterrupt if Ctrl-C was pressed."""
        if self._asked:
            raise KeyboardInterrupt

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        self.check()
        self._asked = True


class _Team:
    """Worker processes, each at the end of its own pipe: when either side dies, the other one notices."""

    def __init__(self, job: Job, missing: Sequence[ShardRange]) -> None:
        self.job, self.todo = job, deque(missing)
        self.members: dict[Connection, BaseProcess] = {}

    def run(self, workers: int, advance: Advance) -> None:
        with PoliteInterrupt() as interrupt:
            try:
                for _ in range(workers):
                    self._hire()
                while self.members:
                    for ready in wait(list(self.members), CHECK_SECONDS):
                        assert isinstance(ready, Connection)
                        self._listen(ready, advance)
                    interrupt.check()
            finally:
                self._dismiss()

    def _hire(self) -> None:
        context = get_context("spawn")  # fork copies threads' locks, and GL contexts
        here, there = context.Pipe()
        process = context.Process(target=_work, args=(there, self.job), daemon=True)
        with interrupts_held():
            process.start()
        there.close()
        self.members[here] = process
        here.send(self.todo.popleft())

    def _listen(self, connection: Connection, advance: Advance) -> None:
        """Take one message of a worker: an int per episode, None per shard, or what went wrong."""
        try:
            message = connection.recv()
            if message is None and self.todo:
                connection.send(self.todo.popleft())
                return
        except (EOFError, BrokenPipeError, ConnectionResetError):
            process = self.members[connection]
            process.join()
            raise ChildProcessError(
                f"a worker died (exit code {process.exitcode}; -9 is often: out of memory); try fewer --workers"
            ) from None
        if isinstance(message, Exception):
            raise message
        if message is None:
            connection.close()
            self.members.pop(connection).join()
        else:
            advance(message)

    def _dismiss(self) -> None:
        """End whoever is still at work, and clear away what they were writing."""
        if not self.members:
            return
        for connection, process in self.members.items():
            process.terminate()
            process.join()
            connection.close()
        self.members.clear()
        open_target(self.job.root).remove_stale()


def _work(connection: Connection, job: Job) -> None:
    """Be a worker: make the shards that come through the pipe. Send an int per episode and None per shard."""
    try:
        while True:
            what = connection.recv()
            try:
                make_shard(job, what, connection.send)
            except (EOFError, BrokenPipeError, ConnectionResetError):
                raise
            except (OSError, ValueError) as error:
                connection.send(error)
            except Exception:
                connection.send(RuntimeError(f"while making shard {what.name}:\n{traceback.format_exc()}"))
            else:
                connection.send(None)
    except (EOFError, BrokenPipeError, ConnectionResetError):
        return  # nobody wants more, or the collector is gone
