"""Rollouts of state-space systems in blocks are plain steps: outputs and states, wherever a rollout begins and ends.

The reference is `step` on plain states, which its own tests hold against the discretised equations.

Axes: B batch, T time, D width, R steps a block.
"""

import itertools

import pytest
import torch
from torch.utils._pytree import tree_leaves, tree_map

from longdream.tests.worldmodels.test_world_models import MODELS, A, close, make, make_batch, rows
from longdream.worldmodels.backbones import siso
from longdream.worldmodels.backbones.block import RunningSystem
from longdream.worldmodels.backbones.blockwise import BLOCK as R
from longdream.worldmodels.backbones.dplr import DPLRKernel
from longdream.worldmodels.backbones.hybrid import HybridConfig, HybridStack
from longdream.worldmodels.backbones.s4 import KERNELS, S4Config, S4Stack
from longdream.worldmodels.backbones.s4d import DiagonalKernel

B, WIDTH = 3, 12
TOLERANCE = {torch.float32: 3e-6, torch.float64: 1e-10}
CASES = list(itertools.product(KERNELS, TOLERANCE))
STEPPED = ("s4wm-dplr", "s4wm-s4d", "hybrid", "full-posterior")
NEVER = 10**9


@pytest.fixture(autouse=True)
def in_blocks(monkeypatch):
    """However short a rollout is, it is made in blocks."""
    monkeypatch.setattr(siso, "WORTH_BLOCKS", 0)


@pytest.fixture(params=CASES, ids=lambda case: f"{case[0]}-{str(case[1])[6:]}")
def case(request):
    kernel, dtype = request.param
    torch.manual_seed(0)
    stack = S4Stack(S4Config(blocks=1, width=WIDTH, mlp=8, state=16, kernel=kernel)).to(dtype)
    return stack, observed(stack, dtype), TOLERANCE[dtype]


@pytest.fixture(params=STEPPED)
def model(request, monkeypatch):
    return make(MODELS[request.param], monkeypatch)


@torch.no_grad()
def observed(stack, dtype, batch=B):
    """Return the state after 30 steps."""
    _, state = stack(torch.randn(batch, 30, WIDTH, dtype=dtype), torch.zeros(batch, 30, dtype=torch.bool), None)
    return state


def inputs(stack, steps):
    return torch.randn(B, steps, WIDTH, dtype=stack.norm.weight.dtype)


def stepped(stack, state, g):
    """Return h (B T D) and the state after the last step."""
    cache, outputs = stack.step_cache(), []
    for x in g.unbind(1):
        h, state = stack.step(x, state, cache)
        outputs.append(h)
    return torch.stack(outputs, 1), state


@torch.no_grad()
def rolled(stack, state, g, promised=None):
    running = stack.begin_rollout(state, g.shape[1] if promised is None else promised)
    assert all(isinstance(part, RunningSystem) for part in running)
    h, running = stepped(stack, running, g)
    return h, stack.end_rollout(running)


def assert_close(found, expected, tolerance):
    for x, y in zip(tree_leaves(found), tree_leaves(expected), strict=True):
        assert (x.shape, x.dtype) == (y.shape, y.dtype)
        assert (x - y).norm() <= tolerance * y.norm()


@pytest.mark.parametrize("steps", [1, R - 1, R, R + 1, 3 * R + 5])
def test_blocks_are_plain_steps(case, steps):
    stack, state, tolerance = case
    g = inputs(stack, steps)
    with torch.no_grad():
        expected = stepped(stack, state, g)
    assert_close(rolled(stack, state, g), expected, tolerance)


@pytest.mark.parametrize(("promised", "taken"), [(5, 23), (3 * R, 7), (4, 4)])
def test_more_or_fewer_steps_may_be_taken_than_were_said(case, promised, taken):
    stack, state, tolerance = case
    g = inputs(stack, taken)
    with torch.no_grad():
        expected = stepped(stack, state, g)
    assert_close(rolled(stack, state, g, promised), expected, tolerance)


@torch.no_grad()
def test_a_rollout_without_steps_ends_where_it_began(case):
    stack, state, tolerance = case
    assert_close(stack.end_rollout(stack.begin_rollout(state, 9)), state, tolerance)


def test_what_comes_in_and_what_went_out_stays_as_it_is(case):
    stack, state, _ = case
    kept = tree_map(torch.clone, state)
    g = inputs(stack, R + 3)
    h, last = rolled(stack, state, g)
    h_kept, last_kept = tree_map(torch.clone, (h, last))
    other, _ = rolled(stack, state, g.flip(1))
    again, _ = rolled(stack, state, g)
    rolled(stack, last, g)
    assert_close((state, h, last, again), (kept, h_kept, last_kept, h), 0)
    assert not torch.allclose(other, h)


@torch.no_grad()
def test_an_output_is_not_changed_by_later_steps(case):
    stack, state, _ = case
    running, cache, g = stack.begin_rollout(state, R), stack.step_cache(), inputs(stack, R)
    h, running = stack.step(g[:, 0], running, cache)
    kept = h.clone()
    for x in g[:, 1:].unbind(1):
        _, running = stack.step(x, running, cache)
    assert torch.equal(h, kept)


def test_a_row_alone_rolls_as_in_a_batch(case):
    stack, state, tolerance = case
    g = inputs(stack, R + 3)
    alone = rolled(stack, tree_map(lambda s: s[1:2], state), g[1:2])
    assert_close(alone, tree_map(lambda s: s[1:2], rolled(stack, state, g)), tolerance)


def test_changed_weights_are_looked_at(case):
    stack, state, tolerance = case
    g = inputs(stack, R + 3)
    before, _ = rolled(stack, state, g)
    with torch.no_grad():
        for parameter in stack.parameters():
            parameter += 0.05 * torch.randn_like(parameter)
        expected = stepped(stack, state, g)
    found = rolled(stack, state, g)
    assert_close(found, expected, tolerance)
    assert not torch.allclose(found[0], before, rtol=1e-2)


def test_with_gradients_the_state_is_stepped_as_it_is(case):
    stack, state, _ = case
    assert stack.begin_rollout(state, 40) is state


@pytest.mark.parametrize("kernel", KERNELS)
@torch.no_grad()
def test_systems_are_stepped_outside_autocast(kernel):
    torch.manual_seed(0)
    stack = S4Stack(S4Config(blocks=1, width=WIDTH, mlp=0, state=16, kernel=kernel))
    state, g = observed(stack, torch.float32), inputs(stack, R + 3)
    with torch.autocast("cpu", torch.bfloat16):
        _, expected = stepped(stack, state, g)
        _, found = rolled(stack, state, g)
    assert_close(found[0], expected[0], 3e-6)  # what the first layer sees is still in float32
    assert_close(found[1], expected[1], 3e-2)  # and the second one comes after a map in bfloat16


@torch.no_grad()
def test_only_rollouts_that_pay_are_made_in_blocks(monkeypatch):
    monkeypatch.setattr(siso, "WORTH_BLOCKS", 4 * B)
    stack = S4Stack(S4Config(blocks=1, width=WIDTH, mlp=0, state=8))
    state = stack.initial(B)
    assert all(kept is given for kept, given in zip(stack.begin_rollout(state, 3), state, strict=True))
    assert isinstance(stack.begin_rollout(state, 4)[0], RunningSystem)


@torch.no_grad()
def test_the_state_space_parts_of_a_hybrid_run_in_blocks():
    torch.manual_seed(0)
    hybrid = HybridStack(HybridConfig(1, 1, WIDTH, 16, 8, 2, memory=6)).double()
    state, g = observed(hybrid, torch.float64), torch.randn(B, R + 3, WIDTH).double()
    running = hybrid.begin_rollout(state, R + 3)
    assert [isinstance(part[0], RunningSystem) for part in running] == [True, False, True]
    h, running = stepped(hybrid, running, g)
    close((h, hybrid.end_rollout(running)), stepped(hybrid, state, g))


@torch.no_grad()
def test_imagining_goes_on_and_can_be_observed_after(model, monkeypatch):
    """Observe, imagine, imagine on, observe on: the same with blocks and without."""
    batch = make_batch(model)
    actions = torch.eye(A).double().repeat(2 * R, 1)[: R + 7].expand(B, -1, -1)

    def whole():
        draws = rows(3)
        state = model.observe(batch.window(0, 20), None, draws).state
        first, middle = model.imagine(state, actions, draws)
        second, last = model.imagine(middle, actions[:, :9], draws)
        return first, middle, second, last, model.observe(batch.window(20), last, draws)

    in_blocks = whole()
    monkeypatch.setattr(siso, "WORTH_BLOCKS", NEVER)
    close(in_blocks, whole())


def test_imagining_with_gradients_follows_the_actions(model):
    state = model.observe(make_batch(model).window(0, 20), None, rows()).state
    actions = torch.rand(B, 6, A).double().requires_grad_()
    latent, _ = model.imagine(state, actions, rows(1))
    assert (torch.autograd.grad(latent.deter[:, -1].square().sum(), actions)[0] != 0).all()


@pytest.mark.parametrize("kernel", [DPLRKernel, DiagonalKernel])
@torch.no_grad()
def test_errors_do_not_grow_faster_than_with_plain_steps(kernel):
    """2,000 steps of float32 against float64."""
    torch.manual_seed(0)
    narrow, steps = kernel(8, 64), 2000
    wide = kernel(8, 64).double()
    wide.load_state_dict(narrow.state_dict())
    u = torch.randn(2, steps, 8)

    def run(system, state, u):
        cache, outputs = system.step_cache(), []
        for x in u.unbind(1):
            if isinstance(state, RunningSystem):
                y, state = state.step(x)
            else:
                y, state = system.step(x, state, cache)
            outputs.append(y)
        return torch.stack(outputs, 1)

    exact = run(wide, wide.initial(2), u.double())
    plain, block = (
        (run(narrow, start, u) - exact)[:, -200:].norm() / exact[:, -200:].norm()
        for start in (narrow.initial(2), narrow.begin_rollout(narrow.initial(2), steps))
    )
    assert block <= 1.1 * plain
    assert block < 1e-5
