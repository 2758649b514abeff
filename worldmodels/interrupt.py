"""Ctrl-C and SIGTERM as a request: the training loop ends its step, saves, and then exits."""

from __future__ import annotations

import os
import signal
import threading
from types import FrameType


class StopRequest:
    """While active, notes the first SIGINT or SIGTERM instead of dying; a second one acts as usual."""

    def __init__(self) -> None:
        self.signal: int | None = None
        self._before: dict[int, signal._HANDLER] = {}

    def __enter__(self) -> StopRequest:
        if threading.current_thread() is threading.main_thread():  # Python allows handlers nowhere else
            for number in (signal.SIGINT, signal.SIGTERM):
                self._before[number] = signal.signal(number, self._note)
        return self

    def __exit__(self, *_: object) -> None:
        self._restore()

    def _note(self, number: int, _: FrameType | None) -> None:
        self.signal = number
        self._restore()
        os.write(2, b"\nstopping after this step; once more stops at once, without saving\n")

    def _restore(self) -> None:
        while self._before:
            signal.signal(*self._before.popitem())
