"""A film as pictures: truth, imagination and error side by side, with step, phase and reward in words.

Above: the truth, then what each model draws. Below: the last frame seen, which is what copying would show, then
the absolute error of each model.

Axes: T time, H height, W width, C channels, h and w of the whole picture.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from ..datasets.convert.previews import enlarged
from .film import Film, error_frames
from .findings import number

ACROSS = 176  # pixels of a panel; frames are enlarged by a whole factor to about this
GAP, LINE, BAR = 10, 19, 6  # pixels between panels, of a line of text, of the bar that shows how far the film is
FONT = 13
BACK, TEXT, SOFT = (255, 255, 255), (27, 30, 35), (92, 100, 112)
PHASES = {True: ("context, seen", (66, 133, 244)), False: ("query, imagined", (244, 140, 40))}  # as in contact sheets


class Panel(NamedTuple):
    """One of the pictures side by side."""

    caption: str
    frames: np.ndarray  # (T H W 3) uint8
    notes: list[str]  # (T) a line below it, which may be empty


def draw(film: Film) -> np.ndarray:
    """Return the pictures of a film (T h w 3), h and w even, as codecs of videos ask for."""
    columns = [_truth(film), *(_take(film, number) for number in range(len(film.takes)))]
    size = enlarged(film.truth[:1], ACROSS).shape[1:3]
    base = _blank(columns, size)
    return np.stack([np.asarray(_picture(film, columns, base.copy(), size, step)) for step in range(len(film.truth))])


def _truth(film: Film) -> list[Panel]:
    held = film.truth[np.minimum(np.arange(len(film.truth)), film.context - 1)]
    given = [f"reward {number(float(reward))}" for reward in film.reward]
    return [Panel("truth", film.truth, given), Panel("last frame seen", held, [""] * len(held))]


def _take(film: Film, place: int) -> list[Panel]:
    take = film.takes[place]
    guesses = [f"reward {number(float(reward))}" for reward in take.reward.round(2) + 0.0]
    wrong = [f"squared error {number(float(error))}" for error in take.error]
    return [Panel(take.name, take.frames, guesses), Panel("|error|", error_frames(film, place), wrong)]


def _blank(columns: list[list[Panel]], size: tuple[int, int]) -> Image.Image:
    """Return the picture with the captions alone."""
    (height, width), (across, down) = size, (len(columns), len(columns[0]))
    wide = GAP + across * (width + GAP)
    high = GAP + 2 * LINE + down * (height + 2 * LINE + GAP)
    picture = Image.new("RGB", (wide + wide % 2, high + high % 2), BACK)
    pen = ImageDraw.Draw(picture)
    for place in _places(columns, size):
        pen.text((place.left, place.top - LINE), _fitting(place.panel.caption, width), TEXT, _font())
    return picture


def _picture(
    film: Film, columns: list[list[Panel]], picture: Image.Image, size: tuple[int, int], step: int
) -> Image.Image:
    """Draw one moment onto the captions."""
    pen = ImageDraw.Draw(picture)
    phase, colour = PHASES[step < film.context]
    count = step + 1 if step < film.context else step + 1 - film.context
    total = film.context if step < film.context else len(film.truth) - film.context
    pen.text((GAP, GAP - 4), f"episode {film.episode}: {phase}, step {count} of {total}", TEXT, _font())
    _bar(pen, film, picture.width - 2 * GAP, step)
    for place in _places(columns, size):
        (height, width), (left, top) = size, (place.left, place.top)
        frame = enlarged(place.panel.frames[step : step + 1], ACROSS)[0]
        picture.paste(Image.fromarray(frame), (left, top))
        pen.rectangle((left - 2, top - 2, left + width + 1, top + height + 1), outline=colour, width=2)
        pen.text((left, top + height + 2), _fitting(place.panel.notes[step], width), SOFT, _font())
    return picture


def _bar(pen: ImageDraw.ImageDraw, film: Film, width: int, step: int) -> None:
    """Draw how far the film is, and where its query begins."""
    top, scale = GAP + LINE - 4, width / len(film.truth)
    border = GAP + scale * film.context
    for seen, left, right in ((True, GAP, border), (False, border, GAP + width)):
        done = min(right, GAP + scale * (step + 1))
        pale = tuple(255 - (255 - value) // 4 for value in PHASES[seen][1])
        pen.rectangle((left, top, right, top + BAR), fill=pale)
        if done > left:
            pen.rectangle((left, top, done, top + BAR), fill=PHASES[seen][1])


class _Place(NamedTuple):
    """Where a panel's frame is."""

    panel: Panel
    left: int
    top: int


def _places(columns: list[list[Panel]], size: tuple[int, int]) -> Iterator[_Place]:
    height, width = size
    for across, column in enumerate(columns):
        for down, panel in enumerate(column):
            yield _Place(panel, GAP + across * (width + GAP), GAP + 3 * LINE + down * (height + 2 * LINE + GAP))


def _fitting(text: str, width: int) -> str:
    """Return a text cut to a width in pixels."""
    while _font().getlength(text) > width:
        text = f"{text.rstrip('…')[:-1]}…"
    return text


@cache
def _font() -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(FONT)
