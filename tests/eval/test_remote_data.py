"""A model is trained and evaluated on data with a URL: the same figures as with the folder's path."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from longdream.eval.cli import EvaluateConfig, run
from longdream.tests.eval.test_evaluate_cli import write_data
from longdream.worldmodels import trainer

SMALL = [
    "--model=s4wm-tiny",
    "--steps=6",
    "--validate-every=3",
    "--batch-size=4",
    "--log-every=1",
    "--cpu-threads=1",
    "--device=cpu",
    "--world-model.codec.stages=1",
    "--world-model.codec.multiplier=4",
    "--world-model.latent.variables=4",
    "--world-model.latent.classes=4",
    "--world-model.units=8",
    "--world-model.backbone.blocks=1",
    "--world-model.backbone.width=8",
    "--world-model.backbone.mlp=8",
    "--world-model.backbone.state=4",
]


def losses(out: Path) -> list[tuple[str, float]]:
    lines = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    return [(line["kind"], line["loss"]) for line in lines]


def test_training_and_evaluation_by_url_equal_those_by_path(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    root = write_data(tmp_path / "data")
    found = {}
    for name, data in (("path", str(root)), ("url", root.as_uri())):
        out = tmp_path / name
        assert trainer.run(["--data", data, "--out", str(out), *SMALL]) == 0
        (examined,) = run(EvaluateConfig(checkpoint=(out,), data=data, device="cpu"))
        record = json.loads((out / "config.json").read_text())
        assert record["train"]["data"] == record["provenance"]["data"] == data
        found[name] = (losses(out), examined.evaluation.generation.every.mse, record["provenance"]["data_hash"])
        assert "not on the very data evaluated here" not in (out / "evaluation-test/report.html").read_text()
    assert found["url"] == found["path"]
    assert len(found["url"][0]) == 8
    assert trainer.run(["--data", root.as_uri(), "--out", str(tmp_path / "url"), "--resume", "--steps=8"]) == 0
    assert len(losses(tmp_path / "url")) == 11
