"""The headline figures with their floors beside them: one table for the terminal and the report."""

from __future__ import annotations

import math
from typing import NamedTuple

from .evaluation import Evaluation
from .findings import number, percent, share
from .metrics import Accuracy
from .results import padded_frames, per_pixel, psnr
from .reward import CHANCE

NONE = "-"


class Row(NamedTuple):
    """One line: a figure, the model's, and what stands beside it."""

    name: str
    model: str
    first_floor: str
    second_floor: str


class Table(NamedTuple):
    """Lines under one header."""

    header: Row
    rows: list[Row]


def tables(evaluation: Evaluation) -> list[Table]:
    """Return the table of the images and the table of the reward."""
    return [_images(evaluation), _reward(evaluation)]


def as_text(table: Table) -> str:
    """Return a table for the terminal."""
    lines = [table.header, *table.rows]
    name, *widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    text = [
        f"{line.name:<{name}}" + "".join(f"  {c:>{w}}" for c, w in zip(line[1:], widths, strict=True)) for line in lines
    ]
    return "\n".join([text[0], "-" * len(text[0]), *text[1:]])


def _images(evaluation: Evaluation) -> Table:
    image, seen = evaluation.layout.image, evaluation.reconstruction
    imagined = (evaluation.generation, evaluation.copy_last, evaluation.mean_context)
    rows = [Row("generation MSE", *(number(m.every.mse) for m in imagined))]
    if padded_frames(evaluation):
        rows.append(Row("  without padding", *(_defined(m.unpadded.mse) for m in imagined)))
    rows += [
        Row("  per pixel", *(f"{per_pixel(m.every.mse, image):.3g}" for m in imagined)),
        Row("  PSNR (dB)", *(f"{psnr(m.every.mse, image):.2f}" for m in imagined)),
        Row("reconstruction MSE", number(seen.every.from_second), NONE, NONE),
    ]
    if padded_frames(evaluation):
        rows.append(Row("  without padding", _defined(seen.unpadded.from_second), NONE, NONE))
    rows += [
        Row("  of the query only", number(seen.every.window(evaluation.layout.context)), NONE, NONE),
        Row("  with the first step", number(seen.every.mse), NONE, NONE),
        Row("  per pixel", f"{per_pixel(seen.every.from_second, image):.3g}", NONE, NONE),
        Row("  PSNR (dB)", f"{psnr(seen.every.from_second, image):.2f}", NONE, NONE),
    ]
    return Table(Row("images", "model", "copy last", "mean context"), rows)


def _reward(evaluation: Evaluation) -> Table:
    def row(name: str, accuracy: Accuracy) -> Row:
        return Row(name, share(accuracy.interval), percent(accuracy.majority), percent(CHANCE))

    rows = [row("by inference", evaluation.inferred_reward), row("in imagination", evaluation.imagined_reward)]
    return Table(Row("final reward told right", "model (95 %)", "majority class", "chance"), rows)


def _defined(value: float) -> str:
    return NONE if math.isnan(value) else number(value)
