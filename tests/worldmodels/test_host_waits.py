"""A training step lets the host go ahead of the GPU: shown on a device without values, and in the trainer itself."""

import json
import os
import subprocess
import sys

import pytest
import torch

from longdream.datasets import batch
from longdream.tests.worldmodels.fake_gpu import MISTAKES
from longdream.tests.worldmodels.test_world_models import MODELS, close, make, make_batch, rows
from longdream.tests.worldmodels.trainer_toys import ROOT, arguments
from longdream.worldmodels.train_config import parse
from longdream.worldmodels.trainer import Trainer


@pytest.fixture(scope="module")
def trouble():
    """What every model does wrong on a device without values."""
    done = subprocess.run(
        [sys.executable, "-m", "longdream.tests.worldmodels.fake_gpu"],
        env=os.environ | {"PYTHONPATH": str(ROOT.parent), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize("name", [name for name in MODELS if name != "readme-gru"])
def test_no_model_makes_the_host_wait(trouble, name):
    assert trouble[name] == ""


@pytest.mark.parametrize("mistake", ["not counted", *MISTAKES])
def test_the_device_without_values_notices(trouble, mistake):
    assert trouble[mistake]


@pytest.mark.parametrize("window", ["--window=5", "--window=0"])
def test_the_trainer_reads_nothing_back_between_two_lines_of_its_log(toy_data, tmp_path, monkeypatch, window):
    run = Trainer(parse(arguments(toy_data, tmp_path / "run", "--log-every=5", "--steps=10", window)))
    update, inside, read = run._update, [False], []

    def watched(*given):
        inside[0] = True
        found = update(*given)
        inside[0] = False
        return found

    monkeypatch.setattr(run, "_update", watched)
    monkeypatch.setattr(batch, "most_starts", lambda first: 1)  # it reads, before the batch is on the device
    for name in ("item", "tolist", "cpu", "__bool__", "__float__", "__int__"):
        theirs = getattr(torch.Tensor, name)

        def reading(self, *given, name=name, theirs=theirs, **named):
            read.append((run.step, name, inside[0]))
            return theirs(self, *given, **named)

        monkeypatch.setattr(torch.Tensor, name, reading)
    run.fit()
    assert not any(within for _, _, within in read)
    assert {step for step, _, _ in read} == {5, 10}


@pytest.mark.parametrize("name", ["s4wm-dplr", "hybrid", "full-posterior", "r2i"])
def test_what_the_host_knows_changes_no_number(name, monkeypatch):
    model = make(MODELS[name], monkeypatch)
    batch = make_batch(model)
    batch.first[1, [7, 30]] = True
    batch.first[2, 0] = False  # goes on from the state before
    state = model.observe(make_batch(model, seed=2), None, rows()).state
    asked = model.observe(batch, state, rows())
    for inside in (2, 3):  # a bound is enough
        told = model.observe(batch._replace(inside=inside), state, rows())
        close(told, asked)
    if name == "s4wm-dplr":
        wrong = model.observe(batch._replace(inside=1), state, rows())
        assert not torch.allclose(wrong.latent.deter, asked.latent.deter)  # so it is not counted again
