"""Pictures of episodes that move, to look at: a folder of GIF or mp4 files. They lose detail and cannot be read back.

Axes: T time, H height, W width, C channels.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from ..episode import IMAGE
from ..files import DatasetError
from ..progress import Progress
from .part import part
from .source import Source, arrays_of

FPS = 20  # a GIF counts hundredths of a second
PALETTE_PIXELS = 1_000_000  # that the colours of a GIF are chosen from
ACROSS = 256  # pixels; smaller frames are enlarged by a whole factor


def export_previews(source: Source, destination: Path, kind: str, progress: Progress) -> None:
    """Write a file for each of a source's episodes into a new folder, and see that all frames are in it.

    Args:
        source: where from.
        destination: the folder.
        kind: "gif" or "mp4".
        progress: whom to tell.

    Raises:
        ValueError: if `destination` is there already, there are no images, or mp4 is asked for without PyAV.
        DatasetError: if a file does not hold what was written.
        OSError: if it cannot be written.
    """
    write: Callable[[Path, np.ndarray], int] = write_gif if kind == "gif" else write_mp4
    if kind == "mp4":
        require_av()
    if source.info.observation.name != IMAGE:
        raise ValueError(f"there are no images to make a {kind} of: `longdream browse` draws vectors")
    with part(destination) as draft:
        draft.mkdir()
        progress.begin(source.info.episodes, None)
        for index in range(source.info.episodes):
            frames = enlarged(arrays_of(source, index)[IMAGE])
            path = draft / f"{index:06d}.{kind}"
            found = write(path, frames)
            if found != len(frames):
                raise DatasetError(f"{path} holds {found} frames, {len(frames)} were written")
            progress.advance(len(frames))


def enlarged(image: np.ndarray, across: int = ACROSS) -> np.ndarray:
    """Return frames (T H W C) as RGB, each pixel a square of whole pixels: about `across` pixels wide."""
    factor = max(1, across // image.shape[2])
    rgb = np.broadcast_to(image[..., :3], (*image.shape[:3], 3)) if image.shape[3] == 1 else image[..., :3]
    return np.ascontiguousarray(rgb.repeat(factor, 1).repeat(factor, 2))


def write_gif(path: Path, frames: np.ndarray) -> int:
    """Write frames (T H W 3) as a GIF that repeats for ever, and return how many it shows.

    One palette and no dithering make the file several times smaller than Pillow's own choice for every frame. Equal
    frames after one another are one in the file, shown longer: they are counted by their time.
    """
    palette = _palette(frames)
    pictures = [Image.fromarray(frame).quantize(palette=palette, dither=Image.Dither.NONE) for frame in frames]
    duration = 1000 // FPS  # ms
    pictures[0].save(path, save_all=True, append_images=pictures[1:], duration=duration, loop=0)
    shown = 0
    with Image.open(path) as file:
        for number in range(file.n_frames):
            file.seek(number)
            shown += file.info["duration"]
    return shown // duration


def _palette(frames: np.ndarray) -> Image.Image:
    """Return a picture with 256 colours for frames (T H W 3), chosen from pixels of all of them."""
    apart = max(1, round((frames[..., 0].size / PALETTE_PIXELS) ** 0.5))
    sample = frames[:, ::apart, ::apart]
    return Image.fromarray(sample.reshape(-1, sample.shape[2], 3)).quantize(256)


def write_mp4(path: Path, frames: np.ndarray) -> int:
    """Write frames (T H W 3) as H.264, and return how many the file holds. Odd heights and widths lose a line.

    Raises:
        ValueError: if PyAV is not installed.
    """
    av = require_av()
    even = frames[:, : frames.shape[1] // 2 * 2, : frames.shape[2] // 2 * 2]
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=FPS)
        stream.height, stream.width, stream.pix_fmt = even.shape[1], even.shape[2], "yuv420p"
        for frame in even:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(np.ascontiguousarray(frame), format="rgb24")))
        container.mux(stream.encode(None))
    with av.open(str(path)) as container:
        return sum(1 for _ in container.decode(video=0))


def require_av() -> Any:
    """Return PyAV.

    Raises:
        ValueError: if it is not installed.
    """
    try:
        import av
    except ImportError:
        raise ValueError("mp4 needs PyAV: pip install 'longdream[video]' (a gif needs nothing more)") from None
    return av
