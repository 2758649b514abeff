"""The figures as tables: a row for each run, below the floors and the oracle, and the paper's if it has this task."""

from __future__ import annotations

import math
from collections.abc import Sequence
from enum import StrEnum
from typing import NamedTuple

from ..datasets.episode import IMAGE
from . import papers
from .evaluation import Evaluation
from .examined import Examined
from .findings import number, percent, share
from .intervals import Interval
from .papers import Published
from .reasoning import KINDS
from .recall import RecallCurve
from .results import kind, padded_frames, per_value, psnr
from .reward import CHANCE
from .tally import Measured

NONE = "-"


class Kind(StrEnum):
    """What a row is of."""

    RUN = "run"
    FLOOR = "floor"
    ORACLE = "oracle"
    PAPER = "paper"


class Row(NamedTuple):
    """One line."""

    name: str
    kind: Kind
    cells: tuple[str, ...]

    @property
    def label(self) -> str:
        """The name, marked where it is none of ours."""
        return f"{self.name} ({self.kind.value}'s)" if self.kind is Kind.PAPER else self.name


class Table(NamedTuple):
    """Lines under one header."""

    title: str
    header: tuple[str, ...]  # of the cells; the first column, with the names, has the title
    rows: list[Row]


def tables(examined: Sequence[Examined]) -> list[Table]:
    """Return the tables of the images and of the reward, and of recall and doors where the data have them."""
    found = [_images(examined), _reward(examined)]
    if examined[0].evaluation.recall is not None:
        found.append(_recall(examined))
    if examined[0].evaluation.reasoning is not None:
        found.append(_doors(examined))
    return found


def as_text(table: Table) -> str:
    """Return a table for the terminal."""
    lines = [(table.title, *table.header), *((row.label, *row.cells) for row in table.rows)]
    name, *widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    text = [
        f"{line[0]:<{name}}" + "".join(f"  {c:>{w}}" for c, w in zip(line[1:], widths, strict=True)) for line in lines
    ]
    return "\n".join([text[0], "-" * len(text[0]), *text[1:]])


def published(examined: Sequence[Examined]) -> list[Published]:
    """Return the paper's rows for the task that these runs were examined on."""
    origin, layout = examined[0].origin, examined[0].evaluation.layout
    return papers.comparable(origin["environment"], origin["options"], layout)


def remark(examined: Sequence[Examined]) -> str:
    """Return what is to be known of the paper's rows, or of why there are none."""
    origin = examined[0].origin
    if published(examined):
        return (
            f"The paper's rows: {papers.S4WM}; the same task, but its pictures and checkpoints were never released: "
            "ours are drawn after its description, so its squared errors say what to expect and not what to hit."
        )
    if examined[0].evaluation.teleported:
        return f"The paper has curves of this task, without numbers: {' '.join(papers.RECALL)}"
    sizes = [
        f"{task.context} + {task.query} steps ({', '.join(f'{name} {value}' for name, value in task.options.items())})"
        for task in papers.other_sizes(origin["environment"])
    ]
    if not sizes:
        return "The paper has no figures of imagination in this environment."
    return f"The paper's figures of this environment are of other sizes, {'; '.join(sizes)}: none is comparable."


def _images(examined: Sequence[Examined]) -> Table:
    shared = examined[0].evaluation
    padded = bool(padded_frames(shared))
    observed = kind(shared.layout)
    per = "per pixel" if observed == IMAGE else "per feature"
    header = ["generation MSE", per, "PSNR (dB)", "reconstruction MSE", "of the query", "with the first step"]
    unpadded = ["generation, unpadded", "reconstruction, unpadded"] if padded else []
    rows = [Row(run.name, Kind.RUN, _frames(run.evaluation.generation, run.evaluation, padded)) for run in examined]
    below = {"copy last": shared.copy_last, "mean context": shared.mean_context}
    rows += [Row(name, Kind.FLOOR, _frames(found, shared, padded, floor=True)) for name, found in below.items()]
    if shared.nearest_pose is not None:
        rows.append(Row("nearest pose", Kind.ORACLE, _frames(shared.nearest_pose, shared, padded, floor=True)))
    for row in published(examined):
        if row.generation is not None and row.reconstruction is not None:
            figures = (number(row.generation), NONE, NONE, number(row.reconstruction))
            rows.append(_paper(row, figures, len(header) + len(unpadded)))
    return Table(f"{observed}s", (*header, *unpadded), rows)


def _frames(measured: Measured, evaluation: Evaluation, padded: bool, floor: bool = False) -> tuple[str, ...]:
    """Return the cells of the images' table; a floor has no reconstruction."""
    obs, seen, mse = evaluation.layout.obs, evaluation.reconstruction, measured.every.mse
    ratio = psnr(mse, obs)
    cells = [number(mse), f"{per_value(mse, obs):.3g}", NONE if math.isnan(ratio) else f"{ratio:.2f}"]
    inside = (seen.every.from_second, seen.every.window(evaluation.layout.context), seen.every.mse)
    cells += [NONE if floor else number(value) for value in inside]
    if padded:
        cells += [_defined(measured.unpadded.mse), NONE if floor else _defined(seen.unpadded.from_second)]
    return tuple(cells)


def _reward(examined: Sequence[Examined]) -> Table:
    found = [(run.name, run.evaluation.inferred_reward, run.evaluation.imagined_reward) for run in examined]
    rows = [Row(name, Kind.RUN, (share(seen.interval), share(imagined.interval))) for name, seen, imagined in found]
    majority = percent(examined[0].evaluation.imagined_reward.majority)
    rows += [Row("majority class", Kind.FLOOR, (majority,) * 2), Row("chance", Kind.FLOOR, (percent(CHANCE),) * 2)]
    for row in published(examined):
        if row.inference is not None and row.imagination is not None:
            rows.append(_paper(row, (percent(row.inference), percent(row.imagination)), 2))
    return Table("final reward told right (95 %)", ("by inference", "in imagination"), rows)


def _recall(examined: Sequence[Examined]) -> Table:
    shared = examined[0].evaluation.recall
    assert shared is not None
    curves = [(run.name, Kind.RUN, run.evaluation.recall.model) for run in examined if run.evaluation.recall]
    curves += [("copy last", Kind.FLOOR, shared.copy_last), ("mean context", Kind.FLOOR, shared.mean_context)]
    if shared.nearest_pose is not None:
        curves.append(("nearest pose", Kind.ORACLE, shared.nearest_pose))
    rows = [Row(name, kind, _curve(curve)) for name, kind, curve in curves]
    header = [f"{k} shown" for k in shared.given] + [f"{k}, common" for k in shared.given]
    return Table("MSE after the teleport", tuple(header), rows)


def _curve(curve: RecallCurve) -> tuple[str, ...]:
    return tuple(_defined(found.value) for found in (*curve.rest, *curve.common))


def _doors(examined: Sequence[Examined]) -> Table:
    shared = examined[0].evaluation.reasoning
    assert shared is not None
    told = [getattr(shared, kind) for kind in KINDS]
    rows = [
        Row(
            run.name,
            Kind.RUN,
            tuple(_share(getattr(run.evaluation.reasoning, kind).interval) for kind in KINDS),
        )
        for run in examined
    ]
    rows.append(Row("always closed", Kind.FLOOR, tuple(_percent(found.always_closed) for found in told)))
    rows.append(Row("always open", Kind.FLOOR, tuple(_percent(found.always_open) for found in told)))
    for name, floor in examined[0].evaluation.door_floors.items():
        cells = tuple(_percent(getattr(floor, kind).interval.value) for kind in KINDS)
        rows.append(Row(name.replace("_", " "), Kind.ORACLE if name == "nearest_pose" else Kind.FLOOR, cells))
    header = tuple(f"{kind} ({found.cases:,})" for kind, found in zip(KINDS, told, strict=True))
    return Table("doors told right (95 %)", header, rows)


def _paper(row: Published, figures: tuple[str, ...], width: int) -> Row:
    return Row(row.model, Kind.PAPER, figures + (NONE,) * (width - len(figures)))


def _defined(value: float) -> str:
    return NONE if math.isnan(value) else number(value)


def _percent(value: float) -> str:
    return NONE if math.isnan(value) else percent(value)


def _share(found: Interval) -> str:
    return NONE if math.isnan(found.value) else share(found)
