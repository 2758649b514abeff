"""Training from a folder of tars is training from the shards they were made of, to the bit."""

import json

import pytest
import torch

from longdream.datasets.convert.part import export
from longdream.datasets.convert.stored import StoredEpisodes
from longdream.datasets.convert.tars import TARS
from longdream.tests.datasets.convert_toys import Silent
from longdream.worldmodels import trainer
from longdream.worldmodels.checkpoint import latest, load_model

SMALL = [
    "--model=rssm-tiny",
    "--world-model.width=16",
    "--world-model.codec.stages=2",
    "--world-model.codec.multiplier=4",
    "--world-model.latent.variables=4",
    "--world-model.latent.classes=4",
    "--world-model.units=16",
    "--batch-size=4",
    "--optim.warmup=5",
    "--optim.schedule=constant",
    "--validate-every=4",
    "--save-every=3",
    "--log-every=1",
    "--cpu-threads=1",
    "--device=cpu",
]
TIMING = ("frames_per_second", "seconds", "peak_memory_gb")


def metrics(out):
    lines = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    return [{key: value for key, value in line.items() if key not in TIMING} for line in lines]


def train(data, out, *more):
    assert trainer.run(["--data", str(data), "--out", str(out), *SMALL, *more]) == 0


@pytest.mark.parametrize("window", [0, 5])
def test_it_is_training_from_shards_also_when_stopped(toy_data, tmp_path, window):
    export(StoredEpisodes(toy_data), tmp_path / "tars", TARS, Silent())
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    train(toy_data, whole, f"--window={window}", "--steps=9")
    train(tmp_path / "tars", parts, f"--window={window}", "--steps=4")
    train(tmp_path / "tars", parts, f"--window={window}", "--steps=9", "--resume")
    assert metrics(parts) == metrics(whole)
    one, other = (load_model(latest(out)).model.state_dict() for out in (parts, whole))
    assert all(torch.equal(one[name], other[name]) for name in one)
