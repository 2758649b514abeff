"""Fast rollouts are `imagine`, for every world model: compiled steps, and steps replayed from a CUDA graph.

Where there is no GPU, `Recorder` stands in for CUDA's graphs: it records every operation of a capture, and replays it
into the tensors of the capture, as a graph does.

Axes: B batch, H horizon.
"""

import contextlib
import shutil

import pytest
import torch
from torch._dynamo.testing import CompileCounter
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from longdream.tests.worldmodels.test_world_models import MODELS, A, B, close, make, make_batch, rows
from longdream.worldmodels.backbones.catalogue import BACKBONES
from longdream.worldmodels.families import build
from longdream.worldmodels.rollout import GraphedSteps, Rollout

HORIZON = 9  # longer than the memories of TSSM-XL and of the hybrid
CASES = ("rssm", "s4wm-dplr", "s4wm-s4d", "s5wm", "r2i", "tssm-xl", "gated", "hybrid", "full-posterior", "readme-gru")
STEPPED = {name: MODELS[name] for name in CASES}


@pytest.fixture(params=STEPPED)
def model(request, monkeypatch):
    torch.compiler.reset()  # the compiled steps of earlier models count against a limit
    return make(STEPPED[request.param], monkeypatch)


def test_every_backbone_is_stepped():
    kinds = {type(config.backbone) for config in STEPPED.values() if hasattr(config, "backbone")}
    assert kinds >= set(BACKBONES)


class Recorder(TorchDispatchMode):
    """A capture and its replay."""

    def __init__(self):
        super().__init__()
        self.operations = []

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        found = function(*args, **(kwargs or {}))
        fresh = all(value.alias_info is None for value in function._schema.returns)  # neither a view nor in place
        self.operations.append((function, args, kwargs or {}, found if fresh else None))
        return found

    def replay(self):
        for function, args, kwargs, found in self.operations:
            again = function(*args, **kwargs)
            if isinstance(found, torch.Tensor):
                found.copy_(again)
            elif isinstance(found, tuple | list):
                for tensor, value in zip(found, again, strict=True):
                    tensor.copy_(value)


class Stream:
    def wait_stream(self, other):
        pass


@pytest.fixture
def recorder(monkeypatch):
    monkeypatch.setattr(torch.cuda, "CUDAGraph", Recorder)
    monkeypatch.setattr(torch.cuda, "graph", lambda graph: graph)
    monkeypatch.setattr(torch.cuda, "Stream", Stream)
    monkeypatch.setattr(torch.cuda, "current_stream", Stream)
    monkeypatch.setattr(torch.cuda, "stream", contextlib.nullcontext)


def start(model, context):
    """Return a state after some steps."""
    with torch.no_grad():
        return model.observe(make_batch(model).window(0, context), None, rows()).state


def check(model, rollout):
    """Compare with `imagine`: two starts, a rollout that goes on from the first one, and other weights."""
    actions = make_batch(model).action[:, :HORIZON].double()
    first, second = start(model, 5), start(model, 7)
    middle = rollout(first, actions, rows(5))[1]
    kept = [leaf.clone() for leaf in tree_leaves(middle)]
    for state in (first, second, middle):
        close(rollout(state, actions, rows(6)), model.imagine(state, actions, rows(6)))
    close(tree_leaves(middle), kept)  # what was handed out is not written to
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += 0.05 * torch.randn_like(parameter)
    found = rollout(first, actions[:, :3], rows(6))
    close(found, model.imagine(first, actions[:, :3], rows(6)))
    assert not any(leaf.requires_grad for leaf in tree_leaves(found))


def test_a_compiled_step_is_an_imagined_step(model):
    check(model, Rollout(model, "compiled", backend="eager"))


def test_a_replayed_step_is_an_imagined_step(model, recorder):
    rollout = Rollout(model, "compiled", backend="eager")
    rollout._advance = GraphedSteps(model)
    check(model, rollout)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device")
def test_a_cuda_graph_is_an_imagined_step(model):
    model.cuda()
    state, actions = model.initial(B), torch.eye(A, device="cuda", dtype=torch.float64).expand(B, A, A)
    rollout = Rollout(model, "cuda-graph")
    for seed in (1, 2):
        close(rollout(state, actions, rows(seed)), model.imagine(state, actions, rows(seed)))


def test_another_horizon_or_start_is_not_compiled_again(model):
    counter = CompileCounter()
    rollout = Rollout(model, "compiled", backend=counter)
    actions = make_batch(model).action[:, :HORIZON].double()
    rollout(start(model, 5), actions, rows())
    compiled = counter.frame_count
    rollout(start(model, 7), actions[:, 1:4], rows())
    rollout(model.initial(B), actions[:, :5], rows())
    assert counter.frame_count == compiled


def test_without_generators_the_draws_are_those_of_imagine(monkeypatch):
    model = make(MODELS["rssm"], monkeypatch)
    state, actions = start(model, 5), make_batch(model).action[:, :HORIZON].double()
    torch.manual_seed(4)
    expected = model.imagine(state, actions)
    torch.manual_seed(4)
    close(Rollout(model, "compiled", backend="eager")(state, actions), expected)


def test_a_missing_compiler_is_said(monkeypatch):
    model = build(MODELS["rssm"])
    monkeypatch.setenv("CXX", "no-such-compiler -O3")
    with pytest.raises(ValueError, match=r"no-such-compiler.*install it"):
        Rollout(model, "compiled")
    monkeypatch.delenv("CXX")
    monkeypatch.setattr(shutil, "which", lambda name: name)
    monkeypatch.setattr("sysconfig.get_path", lambda name: "/nowhere")
    with pytest.raises(ValueError, match="headers"):
        Rollout(model, "compiled")


def test_a_cuda_graph_on_a_cpu_is_refused():
    with pytest.raises(ValueError, match="on the cpu"):
        Rollout(build(MODELS["rssm"]), "cuda-graph")
