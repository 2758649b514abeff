"""The folder that an evaluation leaves behind: results.json, curves.csv, the pictures and report.html."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..datasets.episode import IMAGE
from . import curves, figures, results, stills
from .charts import charts
from .evaluation import PICTURED_EPISODES, Evaluation
from .examined import Examined
from .film import Film
from .losses import read_losses, run_folder
from .report import Shown, report

DOORS = (
    "Doors whose state is told right in the imagined frames, by event (how often it occurs), with 95 % intervals over "
    "the episodes."
)
CURVES = (
    "Episode {}: the features that change most. Black: the truth. Coloured: what was drawn of the context, and, from "
    "the orange line on, what was imagined from the actions alone."
)
LOSSES = "Losses of the run: every term that validation logged. Long training curves are averaged over equal stretches."


def write(examined: Sequence[Examined], out: Path, films: Sequence[Film] = ()) -> None:
    """Write everything about runs that were examined on the same episodes, and films of them, into the folder `out`."""
    results.write(examined, out)
    if results.kind(examined[0].evaluation.layout) == IMAGE:
        stills.save_frames({run.name: run.evaluation.pictures for run in examined}, out / "frames.png")
        pictures = {_frames_caption(examined[0].evaluation): out / "frames.png"}
    else:
        pictures = {CURVES.format(film.episode): out / f"vectors-{film.episode}.png" for film in films}
        for film, picture in zip(films, pictures.values(), strict=True):
            curves.save_vectors(film, picture)
        films = ()
    drawn = charts(examined)
    for chart in drawn:
        figures.save_chart(chart, out / f"{chart.key}.png")
    if examined[0].evaluation.doors_in_view:
        pictures[DOORS] = out / "doors.png"
        figures.save_events(examined, pictures[DOORS])
    notes = []
    for place, run in enumerate(examined):
        folder = run_folder(Path(run.origin["checkpoint"]))
        picture = out / ("losses.png" if len(examined) == 1 else f"losses-{place}.png")
        more = _add_losses(folder / "metrics.jsonl", picture, pictures, run.name)
        more += _compare_data(folder / "config.json", run.origin)
        notes += more if len(examined) == 1 else [f"{run.name}: {note}" for note in more]
    (out / "report.html").write_text(report(examined, Shown(drawn, films, pictures, notes)), encoding="utf-8")


def _frames_caption(evaluation: Evaluation) -> str:
    shown = ", ".join(str(picture.episode) for picture in evaluation.pictures)
    return (
        f"Episodes {shown}: among the first ones evaluated, at most {PICTURED_EPISODES}, not chosen by hand. Framed: "
        "the last frames that the model saw. Then the truth, what it imagined from the actions alone (clipped to "
        "[0, 1] for the eye only), and the absolute difference."
    )


def _add_losses(log: Path, picture: Path, pictures: dict[str, Path], name: str) -> list[str]:
    """Draw the losses of `log` and add them to `pictures`; return what the reader has to know about them."""
    losses = read_losses(log) if log.exists() else None
    if losses is None or not losses.terms:
        return ["No losses are shown: the checkpoint does not lie in a run folder whose metrics.jsonl holds some."]
    figures.save_losses(losses, picture)
    pictures[f"{name}. {LOSSES}"] = picture
    left_out = f"{losses.unreadable} lines of metrics.jsonl could not be read and are left out of the losses."
    return [left_out] if losses.unreadable else []


def _compare_data(config: Path, origin: dict[str, Any]) -> list[str]:
    """Say whether the run whose config.json this is was trained on the data that are evaluated."""
    trained = json.loads(config.read_text()).get("provenance", {}) if config.exists() else {}
    if "data_hash" not in trained:
        return ["What the run was trained on is not recorded beside the checkpoint."]
    if trained["data_hash"] == origin["data_hash"]:
        return []
    return [
        f"The run was trained on {trained.get('data')} ({trained['data_hash']}), not on the very data evaluated here; "
        "that these episodes were unseen rests on the two data sets being what you think they are."
    ]
