"""A batch some rows at a time, in one process or two, is the batch at once: gradients, terms, state, learning rate."""

import dataclasses

import pytest
import torch
from accelerate import Accelerator
from torch.utils._pytree import tree_leaves

from longdream.datasets.batch import Batch
from longdream.tests.worldmodels.small_models import S4, S4WM
from longdream.tests.worldmodels.trainer_toys import arguments, assert_same_run, finish, launch, metrics, train
from longdream.worldmodels import latents, rssm, trainer
from longdream.worldmodels.accumulation import accumulate
from longdream.worldmodels.backbones.hybrid import HybridConfig
from longdream.worldmodels.backbones.s5 import S5Config
from longdream.worldmodels.backbones.transformer_xl import TransformerXLConfig
from longdream.worldmodels.families import build
from longdream.worldmodels.latent_model import ModelConfig
from longdream.worldmodels.rssm import RSSMConfig

MODELS = {
    "s4wm": S4WM,
    "full-posterior": dataclasses.replace(S4WM, posterior_backbone=S4),
    "s5wm": dataclasses.replace(S4WM, backbone=S5Config(1, 1, 12, 16, 16, 2)),
    "tssm-xl": dataclasses.replace(S4WM, backbone=TransformerXLConfig(2, 12, 16, 2, memory=6)),
    "hybrid": dataclasses.replace(S4WM, backbone=HybridConfig(1, 1, 12, 16, 8, 2, memory=6)),
    "rssm": RSSMConfig(**{f.name: getattr(S4WM, f.name) for f in dataclasses.fields(ModelConfig)}, width=12),
}
B, T = 5, 9


@pytest.fixture
def no_noise(monkeypatch):
    """Latents are the modes of their distributions: the same ones, however a batch is cut."""

    def ones(like, generators=None):
        return torch.ones_like(like)

    monkeypatch.setattr(latents, "noise", ones)
    monkeypatch.setattr(rssm, "noise", ones)


@pytest.fixture
def float64():
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def make_batch(seed):
    """Rows that begin anew at different steps, never, or at nearly all of them."""
    g = torch.Generator().manual_seed(seed)
    obs = torch.randint(0, 256, (B, T, 3, 8, 8), generator=g, dtype=torch.uint8)
    action = torch.eye(3)[torch.randint(0, 3, (B, T), generator=g)]
    first = torch.rand(B, T, generator=g) < 0.1
    first[0] = False
    first[1, 2:] = True
    return Batch(obs, action, torch.rand(B, T, generator=g), torch.ones(B, T), first)


@pytest.mark.parametrize("config", MODELS.values(), ids=MODELS)
def test_parts_make_the_gradient_of_the_whole(config, no_noise):
    torch.manual_seed(0)
    model = build(config).double()
    torch.nn.init.normal_(model.reward.net[-1].weight)  # it starts at zero
    before = model(make_batch(1)).state
    batch = make_batch(2)
    whole = model(batch, before)
    whole.total.backward()
    expected = {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}
    model.zero_grad()
    found = accumulate(Accelerator(cpu=True), model, batch, before, 2, carries=True)
    assert not found.total.requires_grad
    assert found.total.item() == pytest.approx(whole.total.item(), rel=1e-12)
    for name, term in whole.terms.items():
        assert found.terms[name].item() == pytest.approx(term.item(), rel=1e-12)
    counted = 45 if isinstance(config, RSSMConfig) else 45 - int(batch.first.sum())
    assert found.terms["row_sum"].item() == pytest.approx(whole.total.item() * counted / B, rel=1e-12)
    for name, p in model.named_parameters():
        if name in expected:
            assert (p.grad - expected[name]).abs().max() <= 1e-12 * expected[name].abs().max(), name
    for a, b in zip(tree_leaves(found.state), tree_leaves(whole.state), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-10, atol=1e-12)
        assert a.is_contiguous()


def test_a_part_without_a_counted_step_weighs_nothing(no_noise):
    torch.manual_seed(0)
    model = build(MODELS["s4wm"]).double()
    batch = make_batch(2)
    batch.first[1] = True
    whole = model(batch)
    found = accumulate(Accelerator(cpu=True), model, batch, None, 1, carries=False)
    assert found.total.item() == pytest.approx(whole.total.item(), rel=1e-12)
    assert found.state is None
    batch.first[:] = True
    assert accumulate(Accelerator(cpu=True), model, batch, None, 2, carries=False).total == 0


ORDERS = {  # a way of training by each sampler
    "whole": ["--window=0"],
    "streams": ["--window=5"],
    "windows": ["--window=5", "--random-windows"],  # some hold a border of episodes, some do not
}
TRAINED = {"streams": "rssm-tiny"}  # the others S4WM
OPTIONS = ["--steps=4", "--validate-every=4", "--optim.warmup=2", "--optim.schedule=cosine"]


def train_by(data, out, order, *more):
    return train(data, out, *OPTIONS, *ORDERS[order], *more, model=TRAINED.get(order, "s4wm-tiny"))


def assert_nearly_same(one, other):
    """Up to rounding in float64, through several optimiser steps."""
    assert len(metrics(one)) == len(metrics(other)) == 4
    for kind in ("train", "validation"):
        for a, b in zip(metrics(one, kind), metrics(other, kind), strict=True):
            assert a.pop("kind") == b.pop("kind")
            assert a == pytest.approx(b, rel=1e-6)


@pytest.mark.parametrize("order", ORDERS)
def test_a_run_in_parts_is_the_run(toy_data, tmp_path, order, no_noise, float64):
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    train_by(toy_data, whole, order)
    train_by(toy_data, parts, order, "--micro-batch=3")
    assert_nearly_same(parts, whole)


def test_a_run_in_parts_resumes_to_the_bit_and_with_other_parts(toy_data, tmp_path):
    whole, pieces = tmp_path / "whole", tmp_path / "pieces"
    train_by(toy_data, whole, "streams", "--micro-batch=1")
    train_by(toy_data, pieces, "streams", "--micro-batch=1", "--stop-at=3")
    resume = ["--out", str(pieces), "--data", str(toy_data), "--resume"]
    assert trainer.run([*resume, "--stop-at=0"]) == 0
    assert_same_run(pieces, whole)
    assert trainer.run([*resume, "--steps=5", "--micro-batch=3"]) == 0  # on a smaller GPU, or a larger one
    assert len(metrics(pieces)) == 5


SCRIPT = """
import sys, torch
from longdream.worldmodels import latents, rssm
from longdream.worldmodels.leave import leave
from longdream.worldmodels.trainer import Trainer, parse

latents.noise = rssm.noise = lambda like, generators=None: torch.ones_like(like)
torch.set_default_dtype(torch.float64)
exchanges = 0

def count(group, bucket):
    global exchanges
    exchanges += bucket.is_last()
    torch.distributed.all_reduce(bucket.buffer())
    future = torch.futures.Future()
    future.set_result(bucket.buffer().div_(2))
    return future

for arguments in " ".join(sys.argv[1:]).split(" then "):
    trainer = Trainer(parse(arguments.split()))
    trainer.model.register_comm_hook(None, count)
    trainer.fit()
    trainer.accelerator.print(trainer.step, "steps", exchanges, "exchanges")
    exchanges = 0
leave(0)
"""


def test_two_processes_in_parts_are_one_process(toy_data, tmp_path, no_noise, float64, capsys):
    """One exchange of gradients a step; and where two have stopped, with streams, one goes on."""
    script = tmp_path / "train.py"
    script.write_text(SCRIPT)
    words = []
    for order in ("streams", "windows"):
        options = [*OPTIONS, *ORDERS[order], "--micro-batch=1", "--stop-at=2" if order == "streams" else "--stop-at=0"]
        words += ["then", *arguments(toy_data, tmp_path / order, *options, model=TRAINED.get(order, "s4wm-tiny"))]
    whole = [*OPTIONS, *ORDERS["whole"], "--micro-batch=1"]
    output = finish(launch(toy_data, tmp_path / "whole", *whole, *words, processes=2, script=script))
    assert output.count("4 steps 4 exchanges") == 2
    assert output.count("2 steps 2 exchanges") == 1
    resume = ["--out", str(tmp_path / "streams"), "--data", str(toy_data), "--resume", "--stop-at=0"]
    assert trainer.run(resume) == 0
    assert "saved by 2 processes, goes on with 1" in capsys.readouterr().out
    for order in ORDERS:
        train_by(toy_data, tmp_path / f"one-{order}", order)
        assert_nearly_same(tmp_path / order, tmp_path / f"one-{order}")
