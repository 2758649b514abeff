"""A page to look at episodes with: one HTML file that opens from disk, without a server and without a network.

The template, browse.html, is cut in two at MARK; between them come the episodes, one at a time, and the list of them.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from .browse_episode import page_episode, sheet_shape
from .episode import IMAGE
from .files import remove, scratch
from .reader import EpisodeDataset

TEMPLATE = Path(__file__).with_name("browse.html")
MARK = "<!-- the episodes come here -->"
CURVES = 668  # pixels of the square in which vectors are drawn as curves: twice what it is shown in
EVEN = 24  # episodes of a page whose user names none


class Page(NamedTuple):
    """What was written."""

    episodes: list[int]
    bytes: int
    left_out: list[int]  # for want of space


def even_sample(indices: np.ndarray, count: int = EVEN) -> list[int]:
    """Return up to `count` of the episodes (E), evenly spread, the first and the last among them."""
    places = np.linspace(0, len(indices) - 1, min(count, len(indices))).astype(int)
    return indices[places].tolist()


def write_page(
    dataset: EpisodeDataset,
    episodes: Sequence[int],
    out: Path,
    most_bytes: float,
    progress: Callable[[int, int], object] = lambda done, total: None,
) -> Page:
    """Write the page; `out` appears when it is whole, and memory holds one episode.

    Args:
        dataset: where from.
        episodes: their indices, in the page's order.
        out: the file.
        most_bytes: episodes that the page would be larger with are left out.
        progress: called with the episodes seen and their total.

    Raises:
        ValueError: if an episode is not there, or not one of them fits into `most_bytes`.
        DatasetError: if the data are damaged.
        OSError: if the file cannot be written.
    """
    draft = scratch(out.parent, out.name)
    try:
        page = _write(dataset, episodes, draft, most_bytes, progress)
        os.replace(draft, out)
    finally:
        remove(draft)
    return page


def _write(
    dataset: EpisodeDataset,
    episodes: Sequence[int],
    draft: Path,
    most_bytes: float,
    progress: Callable[[int, int], object],
) -> Page:
    head, tail = TEMPLATE.read_text(encoding="utf-8").split(MARK)
    shown: list[dict[str, Any]] = []
    left_out = []
    with draft.open("wb") as file:
        file.write(head.encode())
        for done, episode in enumerate(episodes, 1):
            content = page_episode(dataset, episode)
            block = _block(f"episode-{episode}", content)
            if file.tell() + len(block) + len(tail) > most_bytes:
                left_out.append(episode)
            else:
                file.write(block)
                shown.append(_entry(content))
            progress(done, len(episodes))
        if not shown:
            raise ValueError(f"not one episode fits into {most_bytes / 1e6:g} MB: take a larger --max-mb")
        file.write(_block("index", _index(dataset, shown)) + tail.encode())
        return Page([entry["episode"] for entry in shown], file.tell(), left_out)


def _entry(content: dict[str, Any]) -> dict[str, Any]:
    """Return an episode's line in the list."""
    line = {name: content[name] for name in ("episode", "split", "length")}
    return line | {"return": round(sum(content["reward"]), 3)}


def _index(dataset: EpisodeDataset, shown: list[dict[str, Any]]) -> dict[str, Any]:
    info = dataset.info
    height, width, _ = info.observation.spec.shape if info.observation.name == IMAGE else (CURVES, CURVES, 1)
    return {
        "environment": info.environment,
        "options": info.options,
        "present": len(dataset),
        "size": [height, width],
        "sheet": sheet_shape(height, width),
        "episodes": shown,
    }


def _block(name: str, content: dict[str, Any]) -> bytes:
    """Return JSON inside a script element; no text in it can end the element."""
    text = json.dumps(content, separators=(",", ":")).replace("<", "\\u003c")
    return f'<script type="application/json" id="{name}">{text}</script>\n'.encode()
