"""What a page holds of one episode: its frames as sheets of lossless WebP, or its vectors, and side arrays as values.

Axes: T time, H height, W width, C channels, F features, A action, N frames of a sheet, M objects.
"""

from __future__ import annotations

import base64
import io
from typing import Any

import numpy as np
from PIL import Image

from .episode import COMMON, IMAGE, QUERY, VECTOR
from .frames.scene import SPHERE_COLORS
from .reader import EpisodeDataset
from .splits import SPLITS

SHEET = 2048  # pixels that a sheet is wide and high at most: browsers decode one without a pause
DRAWN = {"agent_pos", "agent_dir", "maze_layout", "targets_pos", "object_pos", "object_color", "target_color"}
SHOWN = 32  # side arrays of up to so many numbers a step are shown as numbers


def page_episode(dataset: EpisodeDataset, episode: int) -> dict[str, Any]:
    """Return all that the page shows of an episode, as JSON values.

    Raises:
        ValueError: if there is no such episode.
        DatasetError: if the data are damaged.
    """
    name = dataset.info.observation.name
    seen = dataset.read(name, episode)
    return {
        "episode": episode,
        "split": next(name for name in SPLITS if len(dataset.info.splits.select(name, np.array([episode])))),
        "length": dataset.length(episode),
        "sheets": sheets(seen) if name == IMAGE else [],
        "vector": _rounded(seen, 4) if name == VECTOR else None,  # (T F)
        "reward": _rounded(dataset.read("reward", episode), 6),
        "action": _actions(dataset, episode),
        "query": _runs(dataset.read("phase", episode) == QUERY),
        "pad": _runs(dataset.read("pad", episode)),
        "terminal": np.flatnonzero(dataset.read("terminal", episode)).tolist(),
        "map": _map(dataset, episode),
        "values": _values(dataset, episode),
    }


def sheets(frames: np.ndarray) -> list[str]:
    """Return frames (T H W C) as data URIs of pictures that hold N each: rows from left to right, the first on top.

    Lossless WebP: 9 to 20 % smaller than PNG, and three times faster with the least effort (300 frames of a maze).
    """
    _, height, width, _ = frames.shape
    down, across = sheet_shape(height, width)
    count = down * across
    return [_sheet(frames[start : start + count], across) for start in range(0, len(frames), count)]


def sheet_shape(height: int, width: int) -> tuple[int, int]:
    """Return how many frames of H x W pixels a sheet has below and beside each other."""
    return max(1, SHEET // height), max(1, SHEET // width)


def _sheet(frames: np.ndarray, across: int) -> str:
    length, height, width, _ = frames.shape
    down = -(-length // across)
    grid = np.zeros((down * across, height, width, 3), np.uint8)
    grid[:length] = frames  # one channel is repeated
    picture = grid.reshape(down, across, height, width, 3).swapaxes(1, 2).reshape(down * height, across * width, 3)
    packed = io.BytesIO()
    Image.fromarray(picture).save(packed, "WEBP", lossless=True, quality=0, method=0)
    return "data:image/webp;base64," + base64.b64encode(packed.getvalue()).decode()


def _actions(dataset: EpisodeDataset, episode: int) -> list[Any]:
    """Return what led to each step: a number, a list of them, or nothing for the first."""
    action = dataset.read("action", episode)  # (T A)
    values = action.argmax(1).tolist() if action.dtype == np.uint8 else _rounded(action, 3)
    return [None, *values[1:]]


def _map(dataset: EpisodeDataset, episode: int) -> dict[str, Any] | None:
    """Return where things are, in cells with y upward; None where the data set does not say where the agent is."""
    names = dataset.info.arrays
    if "agent_pos" not in names or names["agent_pos"].shape != (2,):
        return None
    found: dict[str, Any] = {"path": _rounded(dataset.read("agent_pos", episode), 3)}  # (T 2)
    if "agent_dir" in names:
        found["heading"] = _rounded(dataset.read("agent_dir", episode), 2)  # (T 2)
    if "maze_layout" in names:
        layout = _array(dataset, "maze_layout", episode)
        found["layout"] = (layout[0] if names["maze_layout"].per_step else layout).tolist()  # row 0 is the bottom
    for name in ("targets_pos", "object_pos"):
        if name in names:
            places = _array(dataset, name, episode)
            places = places[0] if names[name].per_step else places  # (M 2)
            found["objects"] = [
                {"at": _rounded(at, 3), "color": color}
                for at, color in zip(places, _colors(dataset, episode, len(places)), strict=True)
            ]
    if "target_color" in names and names["target_color"] == names["target_color"]._replace(shape=(3,), per_step=True):
        found["target"] = [_css(color) for color in dataset.read("target_color", episode)]
    found["teleport"] = int(dataset.value("teleport_from", episode))
    return found


def _colors(dataset: EpisodeDataset, episode: int, count: int) -> list[str]:
    """Return the colours of M objects as CSS: spheres in data sets with a maze, tiles in the others."""
    if "object_color" not in dataset.info.arrays:
        return [_css(SPHERE_COLORS[number % len(SPHERE_COLORS)]) for number in range(count)]
    numbers = dataset.value("object_color", episode)
    if "maze_layout" in dataset.info.arrays:
        return [_css(SPHERE_COLORS[number]) for number in numbers]
    from .frames.tiles import PALETTE  # imports minigrid

    return [PALETTE[number] for number in numbers]


def _values(dataset: EpisodeDataset, episode: int) -> dict[str, Any]:
    """Return the side arrays that no picture shows: {name: a list over time, or one value}."""
    shown_apart = {dataset.info.observation.name, "action"}
    known = shown_apart | (set(COMMON) - {"context", "seed", "teleport_from"})
    found: dict[str, Any] = {}
    for name, spec in dataset.info.arrays.items():
        if name in known | DRAWN or np.prod(spec.shape) > SHOWN:
            continue
        values = _array(dataset, name, episode)
        plain = str(values) if name == "seed" else _rounded(values, 3)  # 64 bits are too many for a browser
        found[name] = {"steps": plain} if spec.per_step else {"value": plain}
    return found


def _array(dataset: EpisodeDataset, name: str, episode: int) -> np.ndarray:
    per_step = dataset.info.arrays[name].per_step
    return dataset.read(name, episode) if per_step else dataset.value(name, episode)


def _runs(flags: np.ndarray) -> list[list[int]]:
    """Return where flags (T) are set: [first, stop] of every run."""
    edges = np.flatnonzero(np.diff(flags.astype(np.int8), prepend=0, append=0))
    return edges.reshape(-1, 2).tolist()


def _rounded(values: np.ndarray, digits: int) -> Any:
    return np.round(values.astype(np.float64), digits).tolist() if values.dtype.kind == "f" else values.tolist()


def _css(color: np.ndarray) -> str:
    red, green, blue = (round(255 * float(part)) for part in color)
    return f"rgb({red} {green} {blue})"
