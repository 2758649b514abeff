"""How far a command is that makes episodes: what it tells, and the bars that show it."""

from __future__ import annotations

import sys
from types import TracebackType
from typing import Protocol

from tqdm import tqdm

from .bar import progress_bar


class Progress(Protocol):
    """Whom the maker of episodes tells how far it is."""

    def say(self, text: str) -> None:
        """Take a line that the user should read."""

    def checked(self, done: int, total: int) -> None:
        """Take the number of existing shards checked so far."""

    def begin(self, episodes: int, frames: int | None) -> None:
        """Take how much there is to make; None: how many frames is not known."""

    def advance(self, frames: int) -> None:
        """Take the frames of one more episode."""


class Bars:
    """The progress of a command, as bars on stderr."""

    def __init__(self, verb: str) -> None:
        self._verb = verb
        self._bar: tqdm | None = None
        self._episodes = self._frames = self._wanted = 0
        self._by_frame = True

    def __enter__(self) -> Bars:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.close()

    def say(self, text: str) -> None:
        """Print a line."""
        tqdm.write(f"{self._verb}: {text}", file=sys.stderr)

    def checked(self, done: int, total: int) -> None:
        """Show how many of the existing shards are checked."""
        if self._bar is None:
            self._bar = progress_bar(total=total, unit="shard", desc="check", leave=False)
        self._bar.update(done - self._bar.n)

    def begin(self, episodes: int, frames: int | None) -> None:
        """Show what is to be made: frames, or episodes if it is not known how long they are."""
        if self._bar is not None:
            self._bar.close()
        self._wanted, self._by_frame = episodes, frames is not None
        self._bar = progress_bar(
            total=episodes if frames is None else frames,
            unit=" episodes" if frames is None else " frames",
            unit_scale=True,
            desc=self._verb,
            disable=episodes == 0,
        )

    def advance(self, frames: int) -> None:
        """Count an episode."""
        assert self._bar is not None
        self._episodes += 1
        self._frames += frames
        if self._by_frame:
            self._bar.set_postfix_str(f"{self._episodes:,} of {self._wanted:,} episodes", refresh=False)
        self._bar.update(frames if self._by_frame else 1)

    def summary(self) -> str:
        """Say what was made, and how fast; nothing if nothing was to do."""
        if self._bar is None or self._episodes == 0:
            return "nothing to do: "
        elapsed, frames = self._bar.format_dict["elapsed"], self._frames
        return f"{self._episodes:,} episodes, {frames:,} frames in {elapsed:.1f} s ({frames / elapsed:,.0f} frames/s). "
