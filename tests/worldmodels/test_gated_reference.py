"""The gated recurrence against plain float64 loops of its definition.

Axes: B batch, T time, N state, H heads, P head width.
"""

import pytest
import torch
from torch.autograd import gradcheck

from longdream.worldmodels.backbones.gated import GatedConfig, GatedLayer, GatedStack
from longdream.worldmodels.backbones.ssd import ssd, ssd_step

B, N, H, P = 2, 5, 3, 4


def signals(length, decay=0.1, dtype=torch.float64):
    """q, k, v, log_decay, first and a state; `decay` is the mean of -log a."""
    torch.manual_seed(length)
    q, k = torch.randn(2, B, length, N, dtype=torch.float64)
    v = torch.randn(B, length, H, P, dtype=torch.float64)
    log_decay = -decay * torch.empty(B, length, H, dtype=torch.float64).exponential_()
    first = torch.rand(B, length) < 3 / length
    state = torch.randn(B, N, H, P, dtype=torch.float64)
    return [x.to(dtype) for x in (q, k, v, log_decay)] + [first, state.to(dtype)]


def loop(q, k, v, log_decay, first, state):
    """The definition, step by step and head by head."""
    rows, lasts = [], []
    for b in range(len(q)):
        heads, ends = [], []
        for h in range(v.shape[2]):
            s, outputs = state[b, :, h], []
            for t in range(q.shape[1]):
                s = torch.zeros_like(s) if first[b, t] else s
                s = log_decay[b, t, h].exp() * s + torch.outer(k[b, t], v[b, t, h])
                outputs.append(q[b, t] @ s)
            heads.append(torch.stack(outputs))
            ends.append(s)
        rows.append(torch.stack(heads, 1))
        lasts.append(torch.stack(ends, 1))
    return torch.stack(rows), torch.stack(lasts)


def relative(a, b):
    return ((a.double() - b).norm() / b.norm()).item()


@pytest.mark.parametrize("decay", [1e-4, 0.1, 20.0])
@pytest.mark.parametrize("length", [1, 63, 129, 4000])
@torch.no_grad()
def test_the_chunked_recurrence_is_the_loop(length, decay):
    exact = loop(*signals(length, decay))
    for dtype, bound in [(torch.float64, 1e-12), (torch.float32, 5e-6)]:
        for fast, slow in zip(ssd(*signals(length, decay, dtype)), exact, strict=True):
            assert relative(fast, slow) < bound


@torch.no_grad()
def test_the_step_is_one_turn_of_the_loop():
    q, k, v, log_decay, _, state = signals(1)
    y, last = ssd_step(q[:, 0], k[:, 0], v[:, 0], log_decay[:, 0], state)
    exact, exact_last = loop(q, k, v, log_decay, torch.zeros(B, 1), state)
    assert relative(y, exact[:, 0]) < 1e-12
    assert relative(last, exact_last) < 1e-12


def test_gradients_are_those_of_the_loop():
    *inputs, first, state = signals(150, 0.3)
    leaves = [x.requires_grad_() for x in (*inputs, state)]
    weight = torch.randn(B, 150, H, P, dtype=torch.float64)

    def gradients(run):
        y, last = run(*leaves[:4], first, leaves[4])
        return torch.autograd.grad((y * weight).sum() + last.square().sum(), leaves)

    for fast, slow in zip(gradients(ssd), gradients(loop), strict=True):
        assert relative(fast, slow) < 1e-12


def test_gradients_by_finite_differences():
    *inputs, first, state = signals(7, 0.5)
    first[0, 3] = True
    leaves = [x.requires_grad_() for x in (*inputs, state)]
    assert gradcheck(lambda q, k, v, log_decay, s: ssd(q, k, v, log_decay, first, s), leaves)


def test_gradients_stay_finite_past_resets_and_total_decay():
    *inputs, _, state = signals(300, 50.0, torch.float32)
    first = torch.zeros(B, 300, dtype=torch.bool)
    first[:, [0, 10, 11, 64, 299]] = True
    leaves = [x.requires_grad_() for x in (*inputs, state)]
    y, last = ssd(*leaves[:4], first, leaves[4])
    gradients = torch.autograd.grad(y.square().sum() + last.square().sum(), leaves)
    assert all(gradient.isfinite().all() for gradient in gradients)


@torch.no_grad()
def test_a_layer_is_its_definition():
    torch.manual_seed(0)
    width, heads, state, length = 6, 3, 4, 30
    layer = GatedLayer(GatedConfig(layers=1, width=width, heads=heads, state=state)).double()
    for parameter in layer.parameters():
        parameter.add_(0.2 * torch.randn_like(parameter))
    x = torch.randn(B, length, width, dtype=torch.float64)
    first = torch.zeros(B, length, dtype=torch.bool)
    first[1, 17] = True
    y, _ = layer(x, first, layer.initial(B))
    inner = 2 * width
    for b in range(B):
        s = torch.zeros(heads, state, inner // heads, dtype=torch.float64)
        for t in range(length):
            s = s * 0 if first[b, t] else s
            centred = x[b, t] - x[b, t].mean()
            normed = centred / (centred.square().mean() + 1e-5).sqrt() * layer.norm.weight + layer.norm.bias
            z, v, k, q, d = (layer.project.weight @ normed).split([inner, inner, state, state, heads])
            dt = (1 + (d + layer.dt_bias).exp()).log()
            outputs = []
            for h, (gate, value) in enumerate(zip(z.view(heads, -1), v.view(heads, -1), strict=True)):
                s[h] = torch.exp(-layer.log_rate[h].exp() * dt[h]) * s[h] + dt[h] * torch.outer(k, value)
                outputs.append((q @ s[h] + layer.skip[h] * value) * gate * gate.sigmoid())
            mixed = torch.cat(outputs)
            mixed = mixed / (mixed.square().mean() + 1e-5).sqrt() * layer.gate_norm.weight
            expected = x[b, t] + layer.mix.weight @ mixed
            assert relative(y[b, t], expected) < 1e-12


def test_size_of_the_default_stack():
    """As many state values as S4WM's stack, and its 19,329,280 parameters but for half a per cent."""
    with torch.device("meta"):
        stack = GatedStack(GatedConfig())
        assert stack.state_size == 393_216
    assert abs(sum(p.numel() for p in stack.parameters()) - 19_329_280) < 0.005 * 19_329_280


@pytest.mark.parametrize("steps", [1, 40])
def test_autocast_keeps_the_state_in_float32(steps):
    torch.manual_seed(0)
    stack = GatedStack(GatedConfig(layers=2, width=16, heads=2, state=4))
    x, first = torch.randn(B, steps, 16), torch.zeros(B, steps, dtype=torch.bool)
    with torch.autocast("cpu", torch.bfloat16):
        h, state = stack(x, first, None)
        _, later = stack.step(x[:, 0], state, None)
    exact, _ = stack(x, first, None)
    assert {s.dtype for s in (*state, *later)} == {torch.float32}
    assert relative(h, exact.double()) < 0.03
