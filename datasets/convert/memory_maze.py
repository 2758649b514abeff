"""The official Memory Maze data for offline probing: a folder of npz files, one trajectory each.

Every file is held against the conventions that the rest of the toolkit relies on; a file that breaks one is refused.
Positions are (x, y) in cells, `maze_layout` is 1 where free and indexed [int(y), int(x)], `targets_vec` is what it
takes from the agent to an object: (to the right, ahead). `reset` and `terminal` may be missing.

Source: Pasukonis, Lillicrap, Hafner, Evaluating Long-Term Memory in 3D Mazes (Memory Maze), 2022, section 4.

Axes: T time, S cells across, M objects.
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from ..episode import Episode
from ..splits import Splits
from .clock import to_ours
from .npz import episode_files, read_npz
from .source import Wishes, check_common, imported_episode, imported_info

CONTEXT_STEPS = 500  # the probes are measured on what follows
SPLITS = Splits.from_ratio(28, 1, 1)
CLOSE = 1e-2  # cells; positions are float32
KEYS = ("maze_layout", "agent_pos", "agent_dir", "targets_pos", "targets_vec")
_STEPS = re.compile(r".*-(\d+)\.npz")


class MemoryMazeFolder:
    """The episodes of an official folder, in the order of their names."""

    def __init__(self, folder: Path, wishes: Wishes) -> None:
        self.files = episode_files(folder)
        self.context = CONTEXT_STEPS if wishes.context is None else wishes.context
        first = self.episode(0)
        cells = first.extras["maze_layout"].shape[-1]
        environment = f"memory_maze_{cells}x{cells}"
        self.info = imported_info(environment, "memory-maze", first, len(self.files), wishes, SPLITS)

    def name(self, index: int) -> str:
        """Return the file."""
        return str(self.files[index])

    def episode(self, index: int) -> Episode:
        """Return a trajectory.

        Raises:
            ValueError: naming the file, if it is damaged or breaks a convention.
        """
        path = self.files[index]
        arrays = read_npz(path)
        check_common(str(path), arrays)
        check_conventions(path, arrays)
        image, action, reward = (arrays.pop(name) for name in ("image", "action", "reward"))
        first = arrays.pop("reset", np.arange(len(reward)) == 0).astype(bool)
        if not first[0] or first[1:].any():
            raise ValueError(f"{path}: `reset` marks steps {np.flatnonzero(first)[:5].tolist()}, not step 0 alone")
        terminal = arrays.pop("terminal", np.zeros(len(reward))).astype(bool)
        action = to_ours(action, "led-to", str(path)).astype(np.uint8)
        return imported_episode(self.context, image, action, reward, terminal=terminal, extras=arrays)


def check_conventions(path: Path, arrays: dict[str, np.ndarray]) -> None:
    """Hold one file against the conventions of the official data.

    Raises:
        ValueError: naming the file and the convention it breaks.
    """
    steps = len(arrays["reward"])
    missing = [name for name in KEYS if name not in arrays]
    if missing:
        raise ValueError(f"{path} lacks {', '.join(missing)}: it is not of the official Memory Maze data")
    short = [name for name in KEYS if arrays[name].shape[:1] != (steps,)]
    if short:
        raise ValueError(f"{path}: {', '.join(short)} are not {steps} steps long, as reward is")
    _check_name(path, steps)
    _check_actions(path, arrays["action"])
    _check_layout(path, arrays["maze_layout"], arrays["agent_pos"])
    _check_vectors(path, arrays)


def _check_name(path: Path, steps: int) -> None:
    """The name ends in the number of steps (of frames, or of the actions between them)."""
    match = _STEPS.fullmatch(path.name)
    if match and int(match[1]) not in (steps, steps - 1):
        raise ValueError(f"{path} holds {steps} frames, its name says {match[1]} steps: is it whole?")


def _check_actions(path: Path, action: np.ndarray) -> None:
    if action.ndim != 2 or not np.isin(action, (0, 1)).all() or (action[1:].sum(1) != 1).any():
        raise ValueError(f"{path}: action {action.shape} is not one-hot from row 1 on")


def _check_layout(path: Path, layout: np.ndarray, position: np.ndarray) -> None:
    """1 is free, and the agent is always on a free cell."""
    if layout.ndim != 3 or not np.isin(layout, (0, 1)).all():
        raise ValueError(f"{path}: maze_layout {layout.shape} must be (T, S, S) of 0 and 1")
    x, y = position.astype(int).T
    steps, cells = np.arange(len(layout)), layout.shape[1]
    if position.min() < 0 or max(x.max(), y.max()) >= cells:
        raise ValueError(f"{path}: agent_pos goes from {position.min():g} to {position.max():g}, beyond {cells} cells")
    if (layout[steps, y, x] == 1).all():
        return
    guess = ""
    if (layout[steps, x, y] == 1).all():
        guess = "; indexed [x, y] it is: the layout is transposed"
    elif (layout[steps, y, x] == 0).all():
        guess = "; it is on cells of 0: perhaps 0 means free there"
    at = int(np.flatnonzero(layout[steps, y, x] != 1)[0])
    raise ValueError(f"{path}: at step {at} the agent is not on a free cell (1) of maze_layout[int(y), int(x)]{guess}")


def _check_vectors(path: Path, arrays: dict[str, np.ndarray]) -> None:
    """`targets_vec` is (right, ahead) of `targets_pos` - `agent_pos`."""
    ahead = arrays["agent_dir"].astype(np.float64)  # (T 2)
    right = np.stack([ahead[:, 1], -ahead[:, 0]], 1)
    offset = arrays["targets_pos"] - arrays["agent_pos"][:, None].astype(np.float64)  # (T M 2)
    wanted = np.stack([(offset * right[:, None]).sum(2), (offset * ahead[:, None]).sum(2)], 2)
    error = np.abs(arrays["targets_vec"] - wanted).max((1, 2))  # (T)
    if error.max() > CLOSE:
        at = int(error.argmax())
        raise ValueError(
            f"{path}: at step {at} targets_vec is {error[at]:.3g} cells from (right, ahead) of targets_pos - agent_pos"
        )
