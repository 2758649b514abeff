"""The trainer as two processes: they train as one, stay together, and resume to the bit."""

import pytest
import torch

from longdream.datasets.samplers import Sampler, Streams, WholeTrajectories, Windows
from longdream.tests.worldmodels.trainer_toys import assert_same_run, finish, launch, metrics, train
from longdream.worldmodels.checkpoint import latest


def test_two_processes_train_as_one(toy_data, tmp_path):
    out, again = tmp_path / "run", tmp_path / "again"
    options = ["--steps=8", "--validate-every=4", "--save-every=4"]
    output = finish(launch(toy_data, out, *options, processes=2))
    assert "on cpu x 2" in output
    finish(launch(toy_data, again, *options, processes=2))
    assert metrics(out) == metrics(again)
    assert len(torch.load(latest(out) / "trainer.pt", weights_only=True)["generators"]) == 2
    single = tmp_path / "single"
    train(toy_data, single, *options)
    # the same episodes and weights, other latents: close, not equal
    for two, one in zip(metrics(out), metrics(single), strict=True):
        assert two["reconstruction"] == pytest.approx(one["reconstruction"], rel=0.2)
    for two, one in zip(metrics(out, "validation"), metrics(single, "validation"), strict=True):
        assert two["loss"] == pytest.approx(one["loss"], rel=0.2)


def test_two_processes_keep_the_same_weights(toy_data, tmp_path):
    """Gradients are averaged: ranks that train apart would drift apart, each as reproducible as ever."""
    script = tmp_path / "compare.py"
    script.write_text(
        "import sys, torch\n"
        "from accelerate.utils import gather_object\n"
        "from longdream.worldmodels.leave import leave\n"
        "from longdream.worldmodels.trainer import Trainer, parse\n"
        "trainer = Trainer(parse(sys.argv[1:]))\n"
        "trainer.fit()\n"
        "sums = gather_object([[p.double().sum().item() for p in trainer.unwrapped.parameters()]])\n"
        "draws = gather_object([torch.rand(1).item()])\n"
        "trainer.accelerator.print(len(sums), 'equal' if sums[0] == sums[1] else 'apart', draws[0] != draws[1])\n"
        "trainer.accelerator.wait_for_everyone()\n"
        "leave(0)\n"
    )
    output = finish(launch(toy_data, tmp_path / "run", "--steps=4", processes=2, script=script))
    assert "2 equal True" in output  # and latents are drawn differently


ORDERS = {  # a way of training by each sampler
    WholeTrajectories: ["--window=0"],
    Streams: ["--window=5"],
    Windows: ["--window=5", "--random-windows"],
}


def test_no_sampler_is_left_out():
    assert {kind for kind in Sampler.__subclasses__() if kind.__module__ == Sampler.__module__} == set(ORDERS)


@pytest.mark.parametrize("kind", ORDERS, ids=lambda kind: kind.__name__)
def test_two_processes_resume_to_the_bit(toy_data, tmp_path, kind):
    """Each process has a generator of its own, and in streams a state of its own too, to go on from."""
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    options = [*ORDERS[kind], "--validate-every=3", "--save-every=3", "--optim.schedule=constant"]
    settings = {"processes": 2, "model": "rssm-tiny"}
    finish(launch(toy_data, whole, "--steps=6", *options, **settings))
    finish(launch(toy_data, parts, "--steps=3", *options, **settings))
    carries = torch.load(latest(parts) / "trainer.pt", weights_only=True)["carries"]
    if kind is Streams:
        assert [[len(leaf) for leaf in leaves] for leaves in carries] == [[2, 2]] * 2  # two rows each of h and z
        assert not torch.equal(carries[0][0], carries[1][0])
    else:
        assert carries == []
    finish(launch(toy_data, parts, "--steps=6", "--resume", *options, **settings))
    assert_same_run(parts, whole)
