"""Replay folders of the Dreamer family: one npz an episode with image, action, reward, is_first, is_last, is_terminal.

DreamerV1 and V2 keep the action that led to a frame (row 0 zero), V3 the one taken at it: `clock` says which.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ..episode import Episode, observation_name
from ..splits import Splits
from .clock import Clock, to_ours
from .npz import episode_files, read_npz
from .source import TAKEN, Wishes, check_common, imported_episode, imported_info

SPLITS = Splits.from_ratio(8, 1, 1)


class DreamerFolder:
    """The episodes of a replay folder, in the order of their names."""

    def __init__(self, folder: Path, wishes: Wishes, clock: Clock) -> None:
        self.files, self.clock = episode_files(folder), clock
        self.context = wishes.context if wishes.context is not None else len(read_npz(self.files[0])["reward"]) // 2
        self.info = imported_info(folder.name, "dreamer", self.episode(0), len(self.files), wishes, SPLITS)

    def name(self, index: int) -> str:
        """Return the file."""
        return str(self.files[index])

    def episode(self, index: int) -> Episode:
        """Return an episode; `is_last` is not kept, it says where the file ends.

        Raises:
            ValueError: naming the file, if it is damaged, holds several episodes, or has an array under a name that
                means something else here.
        """
        path = self.files[index]
        arrays = read_npz(path)
        check_common(str(path), arrays)
        obs, action, reward = (arrays.pop(name) for name in (observation_name(arrays), "action", "reward"))
        steps = np.arange(len(reward))
        first = arrays.pop("is_first", steps == 0).astype(bool)
        last = arrays.pop("is_last", steps == steps[-1]).astype(bool)
        terminal = arrays.pop("is_terminal", np.zeros(len(steps))).astype(bool)
        marks = {"is_first": first, "is_last": last, "is_terminal": terminal}
        _check_marks(path, marks, len(steps))
        taken = sorted(set(TAKEN) & set(arrays))
        if taken:
            raise ValueError(f"{path}: {', '.join(taken)} means something else in a data set; rename it")
        action = to_ours(action, self.clock, str(path))
        return imported_episode(self.context, obs, action, reward, terminal=terminal, extras=arrays)


def _check_marks(path: Path, marks: dict[str, np.ndarray], steps: int) -> None:
    """`is_first` is step 0 and nothing else; `is_last` and `is_terminal` are nowhere but at the last step."""
    for name, mark in marks.items():
        if mark.shape != (steps,):
            raise ValueError(f"{path}: {name} has shape {mark.shape}, not ({steps},)")
        where = np.flatnonzero(mark)
        if (name == "is_first" and where.tolist() != [0]) or (name != "is_first" and (where != steps - 1).any()):
            raise ValueError(
                f"{path}: {name} is set at steps {where[:5].tolist()} of {steps}: a file holds one whole episode"
            )
