"""The contract that every backbone passes, in float32 and float64: all of the catalogue, and the README's example.

Axes: B batch, T time, D width.
"""

import dataclasses
import itertools
import json

import pytest
import torch
from torch.utils._pytree import tree_flatten, tree_map

from longdream.tests.worldmodels.readme_example import readme_module
from longdream.worldmodels.backbones.catalogue import BACKBONES as CATALOGUE
from longdream.worldmodels.backbones.catalogue import build_backbone
from longdream.worldmodels.backbones.s4 import S4Config, S4Stack
from longdream.worldmodels.backbones.s5 import S5Config, S5Stack
from longdream.worldmodels.backbones.transformer_xl import TransformerXL, TransformerXLConfig
from longdream.worldmodels.config import from_dict, to_dict
from longdream.worldmodels.parallel import ParallelConfig

WIDTH = 12


def readme_backbone():
    """The GRU that the README adds."""
    module = readme_module()
    return module["GRU"](module["GRUConfig"](WIDTH))


def small(config_type, **changes):
    return lambda: build_backbone(dataclasses.replace(config_type(width=WIDTH), **changes))


BACKBONES = {config_type.__name__: small(config_type) for config_type in CATALOGUE} | {
    "s4d": small(S4Config, kernel="s4d", blocks=2),
    "s4-no-mlp": small(S4Config, mlp=0, blocks=1, state=8),
    "s5-zoh": small(S5Config, discretisation="zoh", blocks=1),
    "s5-post": small(S5Config, norm="post", layers=1, blocks=3, mlp=0, state=32, hippo_blocks=2),
    "tssm-xl-m16": small(TransformerXLConfig, memory=16, layers=2, heads=3),  # T passes the memory many times
    "readme-gru": readme_backbone,
}
TOLERANCE = {torch.float32: 1e-5, torch.float64: 1e-10}
CASES = list(itertools.product(BACKBONES, TOLERANCE))
B, T = 3, 83  # not a multiple of any block


def relative(a, b):
    a, b = (x.double() for x in (a, b))  # some leaves count
    return ((a - b).norm() / b.norm().clamp(min=1e-30)).item()


def assert_close(a, b, tolerance):
    for x, y in zip(tree_flatten(a)[0], tree_flatten(b)[0], strict=True):
        assert x.shape == y.shape
        assert relative(x, y) < tolerance


@pytest.fixture(params=CASES, ids=lambda case: f"{case[0]}-{str(case[1])[6:]}")
def case(request) -> tuple:
    torch.manual_seed(0)
    name, dtype = request.param
    backbone = BACKBONES[name]().to(dtype)
    g = torch.randn(B, T, WIDTH, dtype=dtype)
    return backbone, g, some_state(backbone, dtype), TOLERANCE[dtype]


@torch.no_grad()
def some_state(backbone, dtype):
    """A state that rows reached after 40 and after 5 steps, shaken: large, and what no row has reached stays zero."""
    first = torch.zeros(B, 40, dtype=torch.bool)
    first[1, 35] = True
    _, state = backbone(torch.randn(B, 40, WIDTH, dtype=dtype), first, None)
    return tree_map(lambda s: s + torch.randn_like(s) * (s != 0) if s.is_floating_point() else s, state)


def no_reset(g):
    return torch.zeros(g.shape[:2], dtype=torch.bool)


def unroll(backbone, g, first, state):
    """The slow reference: one step after the other, the rows that start anew taken from the initial state."""
    cache, outputs = backbone.step_cache(), []
    initial = backbone.initial(len(g))
    for t in range(g.shape[1]):
        state = tree_map(
            lambda s, i, t=t: torch.where(first[:, t].reshape(-1, *[1] * (s.dim() - 1)), i, s), state, initial
        )
        h, state = backbone.step(g[:, t], state, cache)
        outputs.append(h)
    return torch.stack(outputs, 1), state


def test_forward_is_repeated_step(case):
    backbone, g, state, tolerance = case
    assert_close(backbone(g, no_reset(g), state), unroll(backbone, g, no_reset(g), state), tolerance)


def test_one_step_through_forward_is_step(case):
    backbone, g, state, tolerance = case
    whole, _ = backbone(g, no_reset(g), state)
    outputs = []
    for t in range(T):
        h, state = backbone(g[:, t : t + 1], no_reset(g)[:, :1], state)
        outputs.append(h)
    assert_close(torch.cat(outputs, 1), whole, tolerance)


@pytest.mark.parametrize("split", [1, 32, 50, T - 1])
def test_chunks_with_carried_state_are_the_whole(case, split):
    backbone, g, state, tolerance = case
    first = no_reset(g)
    first[1, 40] = True
    early, carried = backbone(g[:, :split], first[:, :split], state)
    late, last = backbone(g[:, split:], first[:, split:], carried)
    assert_close((torch.cat([early, late], 1), last), backbone(g, first, state), tolerance)


def test_no_state_is_the_initial_state(case):
    backbone, g, _, tolerance = case
    assert_close(backbone(g, no_reset(g), None), backbone(g, no_reset(g), backbone.initial(B)), tolerance)


@pytest.mark.parametrize("resets", [[0], [45], [31, 33], [T - 1], [0, 1, 40, T - 1]], ids=str)
def test_a_reset_is_a_fresh_start(case, resets):
    backbone, g, state, tolerance = case
    first = no_reset(g)
    first[1, resets] = True  # one row; the others go on
    h, last = backbone(g, first, state)
    assert_close((h, last), unroll(backbone, g, first, state), tolerance)
    start = resets[-1]
    fresh, fresh_last = backbone(g[1:2, start:], no_reset(g)[1:2, start:], None)
    assert_close(h[1:2, start:], fresh, tolerance)
    assert_close(tree_map(lambda s: s[1:2], last), fresh_last, tolerance)


def test_forward_states_are_those_that_forward_would_end_in(case):
    backbone, g, state, tolerance = case
    first = no_reset(g)
    first[1, [0, 40]] = True
    h, states = backbone.forward_states(g, first, state)
    assert_close(h, backbone(g, first, state)[0], tolerance)
    for end in (1, 40, 41, T):
        _, last = backbone(g[:, :end], first[:, :end], state)
        assert_close(tree_map(lambda s, end=end: s[:, end - 1], states), last, tolerance)


def test_gradients_are_those_of_the_unrolled_steps(case):
    backbone, g, state, tolerance = case
    first = no_reset(g)
    first[0, 20] = True
    weight = torch.randn_like(g)

    def gradients(run):
        start = tree_map(lambda s: s.clone().requires_grad_(s.is_floating_point()), state)
        inputs = [g.clone().requires_grad_(), *[s for s in tree_flatten(start)[0] if s.requires_grad]]
        h, last = run(inputs[0], first, start)
        total = (h * weight).sum() + sum(s.square().sum() for s in tree_flatten(last)[0])
        return torch.autograd.grad(total, [*inputs, *backbone.parameters()])

    fast = gradients(backbone)
    slow = gradients(lambda *x: unroll(backbone, *x))
    for a, b in zip(fast, slow, strict=True):
        assert relative(a, b) < 20 * tolerance  # a gradient sums over B x T products


def test_forward_leaves_every_parameter_alone(case):
    backbone, g, state, _ = case
    before = {name: p.detach().clone() for name, p in backbone.state_dict().items()}
    for length in (5, T, 40):
        backbone(g[:, :length], no_reset(g)[:, :length], state)
    assert all(torch.equal(p, before[name]) for name, p in backbone.state_dict().items())


def test_the_future_has_no_influence(case):
    backbone, g, state, _ = case
    cut = 41
    changed = g.clone()
    changed[:, cut:] += torch.randn_like(changed[:, cut:])  # not a shift: a norm would take it out
    before, _ = backbone(g, no_reset(g), state)
    after, _ = backbone(changed, no_reset(g), state)
    bound = 1e-12 if g.dtype == torch.float64 else 1e-5  # FFT round-off
    assert relative(after[:, :cut], before[:, :cut]) < bound
    assert relative(after[:, cut:], before[:, cut:]) > 1e-3


@pytest.mark.parametrize("config_type", [S4Config, S5Config])
def test_systems_are_computed_outside_autocast(config_type):
    torch.manual_seed(0)
    backbone, g = small(config_type, blocks=1)(), torch.randn(B, T, WIDTH)
    _, wide = backbone(g, no_reset(g), None)
    with torch.autocast("cpu", torch.bfloat16):
        _, state = backbone(g, no_reset(g), None)
        _, stepped = backbone.step(g[:, 0], state, backbone.step_cache())
    assert {x.dtype for x in tree_flatten((state, stepped))[0]} == {torch.float32}
    assert_close(state[0], wide[0], 1e-6)  # what the first layer sees is still in float32


def test_paper_state_size():
    assert S4Stack(S4Config()).state_size == 393_216  # reals a step
    with torch.device("meta"):
        assert TransformerXL(TransformerXLConfig()).state_size == 1_572_864  # what it counts steps with left out
    assert S5Stack(S5Config(blocks=5, layers=1, mlp=0, state=1024, norm="post")).state_size == 5_120  # R2I


@pytest.mark.parametrize("config_type", CATALOGUE)
def test_every_configuration_survives_json(config_type):
    config = ParallelConfig(backbone=config_type(width=48))
    assert from_dict(ParallelConfig, json.loads(json.dumps(to_dict(config)))) == config
