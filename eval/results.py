"""The figures as files: results.json with everything, curves.csv with the error of each imagined step.

Figures that are not defined (the PSNR of an exact image, the mean of no frame) are null in JSON and empty in CSV.
"""

from __future__ import annotations

import csv
import json
import math
from pathlib import Path
from typing import Any

import numpy as np

from .evaluation import Evaluation, Measured
from .findings import findings
from .metrics import Accuracy
from .reward import CHANCE

FORMAT = 1  # of results.json
UNIT = "squared error summed over H, W and channels, on images in [0, 1]; predictions are not clipped"


def as_dict(evaluation: Evaluation, provenance: dict[str, Any]) -> dict[str, Any]:
    """Return the content of results.json."""
    layout = evaluation.layout
    errors = {
        name: _measured(getattr(evaluation, name), layout.image)
        for name in ("generation", "copy_last", "mean_context", "reconstruction")
    }
    reconstruction = evaluation.reconstruction.every
    errors["reconstruction"]["mse_of_query"] = reconstruction.window(layout.context)
    errors["reconstruction"]["mse_from_second_step"] = reconstruction.from_second
    return _definite(
        {
            "format": FORMAT,
            "unit": UNIT,
            "context": layout.context,
            "query": layout.query,
            "image": list(layout.image),
            "episodes": list(evaluation.indices),
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
            "findings": [{"topic": f.topic, "verdict": f.verdict.value, "text": f.text} for f in findings(evaluation)],
            "provenance": provenance,
        }
    )


def padded_frames(evaluation: Evaluation) -> int:
    """Return how many of the evaluated frames only fill their episode up."""
    frames = evaluation.reconstruction
    return int(frames.every.step_count.sum() - frames.unpadded.step_count.sum())


def per_pixel(mse: float, image: tuple[int, ...]) -> float:
    """Return the mean squared error per pixel and channel: `image` is (H, W, C)."""
    return mse / math.prod(image)


def psnr(mse: float, image: tuple[int, ...]) -> float:
    """Return the peak signal-to-noise ratio in dB of a mean squared error; infinite where it is 0."""
    return -10 * math.log10(per_pixel(mse, image)) if mse else math.inf


def write(evaluation: Evaluation, provenance: dict[str, Any], out: Path) -> None:
    """Write results.json and curves.csv into the folder `out`."""
    text = json.dumps(as_dict(evaluation, provenance), indent=2, allow_nan=False, default=str)
    (out / "results.json").write_text(text + "\n")
    curves = (evaluation.generation, evaluation.copy_last, evaluation.mean_context)
    with (out / "curves.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["step", "model", "copy_last", "mean_context"])
        writer.writerows(
            [step, *map(float, row)] for step, row in enumerate(zip(*(c.every.curve for c in curves), strict=True), 1)
        )


def _measured(measured: Measured, image: tuple[int, ...]) -> dict[str, Any]:
    mse = measured.every.mse
    return {
        "mse": mse,
        "mse_without_padding": measured.unpadded.mse,
        "mse_per_pixel": per_pixel(mse, image),
        "psnr": psnr(mse, image),
        "per_step": measured.every.curve,
        "per_step_without_padding": measured.unpadded.curve,
        "per_episode": measured.every.episodes,
    }


def _accuracy(accuracy: Accuracy) -> dict[str, Any]:
    found = accuracy.interval
    return {"accuracy": found.value, "low": found.low, "high": found.high, "confusion": accuracy._asdict()}


def _definite(value: Any) -> Any:
    """Return `value` as JSON has it: arrays as lists, what is not finite as null."""
    if isinstance(value, np.ndarray):
        return _definite(value.tolist())
    if isinstance(value, dict):
        return {key: _definite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_definite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
