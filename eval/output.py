"""The folder that an evaluation leaves behind: results.json, curves.csv, the pictures and report.html."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from . import figures, results
from .evaluation import PICTURED_EPISODES, Evaluation
from .losses import read_losses, run_folder
from .report import report

CURVES = (
    "Squared error of a frame at each imagined step, mean over the episodes. Below a floor: the model remembers "
    "something that the floor does not. The dashed line is what the model draws of a frame that it sees."
)
LOSSES = "Losses of the run: every term that validation logged. Long training curves are averaged over equal stretches."


def write(evaluation: Evaluation, origin: dict[str, Any], out: Path) -> None:
    """Write everything about `evaluation` into the existing folder `out`; `origin` is its provenance."""
    results.write(evaluation, origin, out)
    figures.save_frames(evaluation.pictures, out / "frames.png")
    figures.save_curves(evaluation, out / "curves.png")
    pictures = {_frames_caption(evaluation): out / "frames.png", CURVES: out / "curves.png"}
    run = run_folder(Path(origin["checkpoint"]))
    notes = _add_losses(run / "metrics.jsonl", out / "losses.png", pictures)
    notes += _compare_data(run / "config.json", origin)
    (out / "report.html").write_text(report(evaluation, origin, pictures, notes), encoding="utf-8")


def _frames_caption(evaluation: Evaluation) -> str:
    shown = ", ".join(str(picture.episode) for picture in evaluation.pictures)
    return (
        f"Episodes {shown}: among the first ones evaluated, at most {PICTURED_EPISODES}, not chosen by hand. Framed: "
        "the last frames that the model saw. Then the truth, what it imagined from the actions alone (clipped to "
        "[0, 1] for the eye only), and the absolute difference."
    )


def _add_losses(log: Path, picture: Path, pictures: dict[str, Path]) -> list[str]:
    """Draw the losses of `log` and add them to `pictures`; return what the reader has to know about them."""
    losses = read_losses(log) if log.exists() else None
    if losses is None or not losses.terms:
        return ["No losses are shown: the checkpoint does not lie in a run folder whose metrics.jsonl holds some."]
    figures.save_losses(losses, picture)
    pictures[LOSSES] = picture
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
