"""A film for the report's page: its frames on sheets, WebP in data URIs, which the page's script cuts up again.

Axes: T time, H height, W width, C channels.
"""

from __future__ import annotations

import base64
import io
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from .film import Film

SEEN = 20  # steps of the context that a film on the page begins with
SHEET = 2048  # pixels across; WebP holds 16383 in either direction
LOSSLESS = 2_000_000  # bytes beyond which a sheet is compressed with loss
QUALITY = 85


class Sheet(NamedTuple):
    """Frames in one picture."""

    uri: str
    exact: bool  # its pixels are the frames'


def as_dict(film: Film) -> dict[str, Any]:
    """Return a film as the page's script reads it; "exact" says whether all its pixels are the frames'."""
    film = film.since(max(0, film.context - SEEN))
    truth, drawn = sheet(film.truth), [sheet(take.frames) for take in film.takes]
    return {
        "episode": film.episode,
        "context": film.context,
        "size": film.truth.shape[1:3],
        "across": _across(film.truth),
        "exact": truth.exact and all(found.exact for found in drawn),
        "sheet": truth.uri,
        "reward": _short(film.reward),
        "takes": [
            {
                "name": take.name,
                "sheet": found.uri,
                "error": _short(take.error),
                "reward": _short(take.reward.round(2) + 0.0),  # no -0
            }
            for take, found in zip(film.takes, drawn, strict=True)
        ],
    }


def sheet(frames: np.ndarray) -> Sheet:
    """Return frames (T H W C) uint8, side by side and below each other, as the data URI of one picture."""
    count, height, width = frames.shape[:3]
    across = _across(frames)
    rows = -(-count // across)
    cells = np.zeros((rows * across, height, width, 3), np.uint8)
    cells[:count] = frames  # one channel is repeated
    cells = cells.reshape(rows, across, height, width, 3).swapaxes(1, 2)  # (rows H across W C)
    picture = Image.fromarray(cells.reshape(rows * height, across * width, 3))
    data = _webp(picture, lossless=True)
    exact = len(data) <= LOSSLESS
    if not exact:
        data = _webp(picture, lossless=False, quality=QUALITY)
    return Sheet(f"data:image/webp;base64,{base64.b64encode(data).decode()}", exact)


def _across(frames: np.ndarray) -> int:
    return max(1, min(SHEET // frames.shape[2], len(frames)))


def _webp(picture: Image.Image, **options: Any) -> bytes:
    file = io.BytesIO()
    picture.save(file, "WEBP", **options)
    return file.getvalue()


def _short(values: np.ndarray) -> list[float]:
    return [float(f"{value:.4g}") for value in values]
