"""Compiled regions: the same losses and gradients, the same names, and one way to a checkpoint and back."""

import dataclasses

import pytest
import torch

from longdream.eval.speed import Shape, random_batch
from longdream.tests.worldmodels.test_world_models import MODELS
from longdream.tests.worldmodels.trainer_toys import arguments, metrics
from longdream.worldmodels import trainer
from longdream.worldmodels.checkpoint import latest, load_model
from longdream.worldmodels.compiled import compile_regions, regions
from longdream.worldmodels.families import build

# dynamo looks at what is no leaf, and says so
pytestmark = pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor")
CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def dynamo():
    """Leave nothing compiled behind."""
    limits = torch._dynamo.config.recompile_limit, torch._dynamo.config.accumulated_recompile_limit
    torch._dynamo.reset()
    yield
    torch._dynamo.reset()
    torch._dynamo.config.recompile_limit, torch._dynamo.config.accumulated_recompile_limit = limits


class Counting:
    """A compiler that changes nothing and counts what it is given."""

    def __init__(self):
        self.graphs = 0

    def __call__(self, graph, inputs):
        self.graphs += 1
        return graph.forward


@pytest.mark.parametrize("name", ["in-chunks", "rssm"])
def test_losses_and_gradients_are_the_eager_ones(name):
    torch.manual_seed(0)
    eager = build(MODELS[name])
    same = build(MODELS[name])
    same.load_state_dict(eager.state_dict())
    compiler = Counting()
    compile_regions(same, CPU, compiler)
    assert list(same.state_dict()) == list(eager.state_dict())
    batch = random_batch(MODELS[name], Shape(2, 10))
    found = []
    for model in (eager, same):
        torch.manual_seed(1)
        loss = model(batch)
        loss.total.backward()
        found.append((loss.total, [p.grad for p in model.parameters()]))
    assert compiler.graphs >= len(list(regions(same))) - 1
    assert torch.allclose(found[0][0], found[1][0], rtol=1e-5)
    assert all(torch.allclose(a, b, rtol=1e-4, atol=1e-5) for a, b in zip(found[0][1], found[1][1], strict=True))


def test_no_shape_or_width_is_compiled_twice(monkeypatch):
    """Training and validation, whole chunks and the last one, in every region: nothing reaches dynamo's limit."""
    config = dataclasses.replace(MODELS["in-chunks"], head_layers=2, recompute_encoder=False)
    model, compiler = build(config), Counting()
    compile_regions(model, CPU, compiler)
    monkeypatch.setattr(torch._dynamo.config, "fail_on_recompile_limit_hit", True)
    batch = random_batch(config, Shape(2, 10))  # chunks of 7 and 6

    def go():
        model(batch).total.backward()
        with torch.no_grad():
            model(batch)

    go()
    graphs = compiler.graphs
    go()
    assert graphs == compiler.graphs


def test_a_run_compiles_and_goes_on_without(toy_data, tmp_path, monkeypatch):
    """The names in its checkpoint are those of any run, and it may be resumed without compiling."""
    compiler = Counting()
    monkeypatch.setattr(
        trainer, "compile_regions", lambda model, device: compile_regions(model, device, backend=compiler)
    )
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    for out, flags in (
        (whole, ["--steps=4"]),
        (parts, ["--steps=2", "--compile"]),
        (parts, ["--steps=4", "--resume", "--no-compile"]),
    ):
        trainer.run(arguments(toy_data, out, *flags, "--optim.schedule=constant"))
    assert compiler.graphs > 0
    for a, b in zip(metrics(whole), metrics(parts), strict=True):
        assert b["loss"] == pytest.approx(a["loss"], rel=1e-4)
    assert load_model(latest(parts)).model.state_dict().keys() == load_model(latest(whole)).model.state_dict().keys()
