"""The figures as files: results.json with everything, curves.csv with the error of each imagined step.

results.json holds one object for each run under "runs", each of them whole: floors and provenance included. Figures
that are not defined (the PSNR of an exact image, the mean of no frame), and what the data do not have, are null.
"""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..datasets.episode import IMAGE, VECTOR
from . import papers
from .evaluation import Evaluation
from .examined import Examined
from .findings import findings
from .metrics import Accuracy
from .reasoning import KINDS, Reasoning, Told
from .recall import Recall, RecallCurve
from .reward import CHANCE
from .tally import Measured
from .trials import Layout

FORMAT = 2  # of results.json; 1 had one run, on the top level
UNITS = {
    "image": "squared error summed over H, W and channels, on images in [0, 1]; predictions are not clipped",
    "vector": "squared error summed over the vector, in its own units",
}


def as_dict(examined: Sequence[Examined]) -> dict[str, Any]:
    """Return the content of results.json."""
    origin, layout = examined[0].origin, examined[0].evaluation.layout
    paper = papers.comparable(origin["environment"], origin["options"], layout)
    rows = [row._asdict() | {"task": row.task._asdict()} for row in paper]
    return definite(
        {"format": FORMAT, "unit": UNITS[kind(layout)], "runs": [_run(run) for run in examined], "paper": rows}
    )


def _run(examined: Examined) -> dict[str, Any]:
    evaluation = examined.evaluation
    layout, reconstruction = evaluation.layout, evaluation.reconstruction.every
    names = ("generation", "copy_last", "mean_context", "nearest_pose", "reconstruction")
    errors: dict[str, Any] = {name: _measured(getattr(evaluation, name), layout.obs) for name in names}
    errors["reconstruction"]["mse_of_query"] = reconstruction.window(layout.context)
    errors["reconstruction"]["mse_from_second_step"] = reconstruction.from_second
    return {
        "name": examined.name,
        "context": layout.context,
        "query": layout.query,
        kind(layout): layout.obs,
        "lengths_vary": layout.varied,
        "episodes": evaluation.indices,
        "teleported_episodes": evaluation.teleported,
        "padded_frames": padded_frames(evaluation),
        "errors": errors,
        "reward": {
            "inference": _accuracy(evaluation.inferred_reward),
            "imagination": _accuracy(evaluation.imagined_reward),
            "majority_class": evaluation.imagined_reward.majority,
            "chance": CHANCE,
            "rewarded_episodes": evaluation.imagined_reward.rewarded,
        },
        "recall": None if evaluation.recall is None else _recall(evaluation.recall),
        "doors": None
        if evaluation.reasoning is None
        else _doors(evaluation.reasoning)
        | {"floors": {name: _doors(found) for name, found in evaluation.door_floors.items()}},
        "findings": [{"topic": f.topic, "verdict": f.verdict.value, "text": f.text} for f in findings(evaluation)],
        "provenance": examined.origin,
    }


def padded_frames(evaluation: Evaluation) -> int:
    """Return how many of the evaluated frames only fill their episode up."""
    frames = evaluation.reconstruction
    return int(frames.every.step_count.sum() - frames.unpadded.step_count.sum())


def kind(layout: Layout) -> str:
    """Return what is observed, as data sets call it: "image" or "vector"."""
    return IMAGE if len(layout.obs) == 3 else VECTOR


def per_value(mse: float, obs: tuple[int, ...]) -> float:
    """Return the mean squared error per pixel and channel, or per feature: `obs` is (H, W, C) or (F,)."""
    return mse / math.prod(obs)


def psnr(mse: float, obs: tuple[int, ...]) -> float:
    """Return the peak signal-to-noise ratio in dB of a mean squared error; infinite where it is 0.

    Vectors have no peak: NaN.
    """
    if len(obs) == 1:
        return math.nan
    return -10 * math.log10(per_value(mse, obs)) if mse else math.inf


def write(examined: Sequence[Examined], out: Path) -> None:
    """Write results.json and curves.csv into the folder `out`."""
    text = json.dumps(as_dict(examined), indent=2, allow_nan=False, default=str)
    (out / "results.json").write_text(text + "\n")
    shared = examined[0].evaluation
    curves = {run.name: run.evaluation.generation for run in examined}
    curves |= {"copy_last": shared.copy_last, "mean_context": shared.mean_context}
    curves |= {} if shared.nearest_pose is None else {"nearest_pose": shared.nearest_pose}
    with (out / "curves.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["step", *curves])
        steps = zip(*(measured.every.curve for measured in curves.values()), strict=True)
        writer.writerows([step, *map(float, row)] for step, row in enumerate(steps, 1))


def _measured(measured: Measured | None, obs: tuple[int, ...]) -> dict[str, Any] | None:
    if measured is None:
        return None
    mse = measured.every.mse
    return {
        "mse": mse,
        "mse_without_padding": measured.unpadded.mse,
        "mse_per_pixel" if len(obs) == 3 else "mse_per_feature": per_value(mse, obs),
        "psnr": psnr(mse, obs),
        "per_step": measured.every.curve,
        "per_step_without_padding": measured.unpadded.curve,
        "per_episode": measured.every.episodes,
    }


def _accuracy(accuracy: Accuracy) -> dict[str, Any]:
    found = accuracy.interval
    return {"accuracy": found.value, "low": found.low, "high": found.high, "confusion": accuracy._asdict()}


def _recall(recall: Recall) -> dict[str, Any]:
    curves = {name: getattr(recall, name) for name in ("model", "copy_last", "mean_context", "nearest_pose")}
    return {"given": recall.given, "episodes": recall.episodes} | {
        name: None if curve is None else _curve(curve) for name, curve in curves.items()
    }


def _curve(curve: RecallCurve) -> dict[str, Any]:
    return {name: [found._asdict() for found in getattr(curve, name)] for name in ("rest", "common")}


def _doors(reasoning: Reasoning) -> dict[str, Any]:
    told = {kind: _told(getattr(reasoning, kind)) for kind in KINDS}
    return told | {"seen_per_step": reasoning.per_step}


def _told(told: Told) -> dict[str, Any]:
    floors = {"always_open": told.always_open, "always_closed": told.always_closed}
    return told._asdict() | {"interval": told.interval._asdict()} | floors


def definite(value: Any) -> Any:
    """Return `value` as JSON has it: arrays and tuples as lists, what is not finite as null."""
    if isinstance(value, np.ndarray):
        return definite(value.tolist())
    if isinstance(value, dict):
        return {key: definite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [definite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
