"""Transformer-XL against a dense float64 attention written with loops, the exact width of its band, and its tape.

Axes: B batch, T time, D width, H heads, E head width, M memory.
"""

import math

import pytest
import torch
from torch.autograd import gradcheck
from torch.utils._pytree import tree_leaves, tree_map

from longdream.worldmodels.backbones.s4 import S4Config, S4Stack
from longdream.worldmodels.backbones.transformer_xl import TransformerState, TransformerXL, TransformerXLConfig

WIDTH = 10


def model(memory, layers=1, dtype=torch.float64, heads=3):
    torch.manual_seed(0)
    config = TransformerXLConfig(layers=layers, width=WIDTH, mlp=14, heads=heads, memory=memory)
    backbone = TransformerXL(config).to(dtype)
    with torch.no_grad():
        for parameter in backbone.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))  # nothing stays at a zero or one that hides its use
    return backbone


def sequence(length, dtype=torch.float64, rows=2):
    generator = torch.Generator().manual_seed(1)
    return torch.randn(rows, length, WIDTH, dtype=dtype, generator=generator)


def starts(length, *at):
    first = torch.zeros(2, length, dtype=torch.bool)
    for row, t in at:
        first[row, t] = True
    return first


def normalised(x, norm):
    centred = x - x.mean(-1, keepdim=True)
    return centred / (centred.square().mean(-1, keepdim=True) + 1e-5).sqrt() * norm.weight + norm.bias


def encoding(distance):
    frequencies = [10_000 ** (-2 * i / WIDTH) for i in range(WIDTH // 2)]
    sines = [math.sin(distance * f) for f in frequencies] + [math.cos(distance * f) for f in frequencies]
    return torch.tensor(sines, dtype=torch.float64)


def dense_attention(layer, u, v, x, first, memory):
    """One row of a layer, x (T D), over everything it may see, pair by pair."""
    heads, size = u.shape
    q, k, value = (normalised(x, layer.norm) @ layer.project.weight.T).unflatten(-1, (heads, 3, size)).unbind(2)
    r = [(layer.position.weight @ encoding(d)).view(heads, size) for d in range(memory + 1)]
    outputs, start = [], 0
    for t in range(len(x)):
        start = t if first[t] else start
        seen = range(max(start, t - memory), t + 1)
        mixed = []
        for h in range(heads):
            scores = [((q[t, h] + u[h]) @ k[s, h] + (q[t, h] + v[h]) @ r[t - s][h]) / size**0.5 for s in seen]
            weights = torch.stack(scores).softmax(0)
            mixed.append(sum(w * value[s, h] for w, s in zip(weights, seen, strict=True)))
        outputs.append(layer.mix.weight @ torch.cat(mixed))
    return x + torch.stack(outputs)


def dense(backbone, g, first):
    rows = []
    for x, start in zip(g, first, strict=True):
        for layer, mlp in zip(backbone.attention, backbone.mlps, strict=True):
            u, v = backbone.content_bias, backbone.position_bias
            x = dense_attention(layer, u, v, x, start, backbone.config.memory)
            hidden = normalised(x, mlp.norm) @ mlp.expand.weight.T + mlp.expand.bias
            hidden = hidden * 0.5 * (1 + torch.erf(hidden / 2**0.5))
            x = x + hidden @ mlp.contract.weight.T + mlp.contract.bias
        rows.append(x)
    return torch.stack(rows)


@pytest.mark.parametrize(
    ("memory", "length", "at"),
    [
        (20, 150, [(0, 63), (0, 64), (1, 70), (1, 149)]),  # three chunks
        (90, 140, [(0, 0), (1, 100)]),  # a memory longer than a chunk
        (1, 20, [(1, 3)]),
        (16, 5, []),  # never filled
    ],
)
@torch.no_grad()
def test_forward_is_dense_attention_over_the_band(memory, length, at):
    backbone, g, first = model(memory, layers=2), sequence(length), starts(length, *at)
    expected = dense(backbone, g, first)
    h, _ = backbone(g, first, None)
    assert (h - expected).norm() < 1e-12 * expected.norm()
    single, _ = backbone.float()(g.float(), first, None)
    assert (single - expected).norm() < 1e-5 * expected.norm()


@torch.no_grad()
def test_a_long_sequence_in_pieces_is_the_whole():
    backbone, g, first = model(24, layers=2), sequence(4000), starts(4000, (0, 1777), (1, 2500))
    whole, last = backbone(g, first, None)
    state, pieces = None, []
    for piece, start in zip(g.split(379, 1), first.split(379, 1), strict=True):
        h, state = backbone(piece, start, state)
        pieces.append(h)
    assert (torch.cat(pieces, 1) - whole).norm() < 1e-12 * whole.norm()
    for a, b in zip(tree_leaves(state), tree_leaves(last), strict=True):
        assert torch.allclose(a, b, atol=1e-12)


def stepped(backbone, g, state):
    cache, outputs = backbone.step_cache(), []
    for x in g.unbind(1):
        h, state = backbone.step(x, state, cache)
        outputs.append(h)
    return torch.stack(outputs, 1)


def in_pieces(backbone, g, state):
    """The band crosses the border of two calls."""
    early, state = backbone(g[:, :9], starts(9), state)
    return torch.cat([early, backbone(g[:, 9:], starts(g.shape[1] - 9), state)[0]], 1)


@pytest.mark.parametrize(
    "run",
    [lambda backbone, g, state: backbone(g, starts(g.shape[1]), state)[0], in_pieces, stepped],
    ids=["forward", "pieces", "step"],
)
@torch.no_grad()
def test_a_layer_sees_exactly_m_steps_back(run):
    memory, t = 16, 5
    backbone, g = model(memory), sequence(40)
    changed = g.clone()
    changed[:, t] += torch.randn_like(changed[:, t])
    before, after = (run(backbone, x, backbone.initial(2)) for x in (g, changed))
    differs = ((before - after).abs() > 1e-9).any(-1).any(0)
    assert differs.nonzero().flatten().tolist() == list(range(t, t + memory + 1))


def test_gradients_by_finite_differences():
    backbone, first = model(3), starts(9, (0, 4))
    state = tree_map(lambda s: s.detach(), backbone(sequence(3), starts(3, (1, 1)), None)[1])

    def run(g, memory):
        h, last = backbone(g, first, TransformerState((memory,), state.filled))
        return h, last.memory[0]

    inputs = [x.clone().requires_grad_() for x in (sequence(9), state.memory[0])]
    assert gradcheck(run, inputs)


def rollout(backbone, g, state, cache, steps):
    states = [state]
    for t in range(steps):
        _, state = backbone.step(g[:, t], state, cache)
        states.append(state)
    return states


@torch.no_grad()
def test_states_of_a_rollout_stay_as_they_were_handed_out():
    backbone, g = model(8, layers=2), sequence(40)
    start = backbone.initial(2)
    with torch.enable_grad():  # out of place: nothing is shared
        expected = rollout(backbone, g, start, backbone.step_cache(), 40)
    cache = backbone.step_cache()
    first = rollout(backbone, g, start, cache, 40)
    again = rollout(backbone, g, start, cache, 40)  # the same start, the same cache
    branch = rollout(backbone, g.flip(1), first[13], cache, 20)  # from the middle, elsewhere
    back = rollout(backbone, g[:, 13:], first[13], cache, 27)  # and from there once more, as it was
    untouched = rollout(backbone, g.flip(1), first[13], backbone.step_cache(), 20)
    for states, like in [(first, expected), (again, expected), (back, expected[13:]), (branch, untouched)]:
        for a, b in zip(tree_leaves(states), tree_leaves(like), strict=True):
            assert torch.allclose(a, b, atol=1e-12)
    assert all(not memory.any() for memory in start.memory)


@torch.no_grad()
def test_a_rollout_copies_its_memory_once_in_m_steps():
    memory = 8
    backbone, g = model(memory), sequence(3 * memory)
    states = rollout(backbone, g, backbone.initial(2), backbone.step_cache(), 3 * memory)[1:]
    buffers = [state.memory[0].untyped_storage().data_ptr() for state in states]
    assert [len(set(buffers[i : i + memory])) for i in range(0, len(buffers), memory)] == [1, 1, 1]


@pytest.mark.parametrize("steps", [1, 40])
def test_autocast_keeps_the_memory_in_float32(steps):
    backbone, g = model(16, layers=2, dtype=torch.float32, heads=2), sequence(steps, torch.float32)
    with torch.autocast("cpu", torch.bfloat16):
        h, state = backbone(g, starts(steps), None)
        _, later = backbone.step(g[:, 0], state, backbone.step_cache())
    exact, _ = backbone(g, starts(steps), None)
    assert {leaf.dtype for leaf in tree_leaves((state, later))} == {torch.float32, torch.int64}
    assert (h - exact).norm() < 0.03 * exact.norm()


def test_the_parameters_are_those_of_the_paper():
    """S4WM Tables 7 and 8: TSSM-XL exceeds S4WM by 2,728,704 in 3D, where S4WM has six blocks and TSSM-XL twelve."""

    def count(backbone):
        return sum(p.numel() for p in backbone.parameters())

    with torch.device("meta"):
        three, two = TransformerXL(TransformerXLConfig(layers=12)), TransformerXL(TransformerXLConfig(layers=10))
    rest_3d, rest_2d = 41_114_339 - 19_329_280, 28_061_187 - 19_329_280  # S4WM less its backbone
    assert count(S4Stack(S4Config())) == 19_329_280
    assert (rest_3d + count(three), rest_2d + count(two)) == (43_843_043, 27_113_731)


def test_a_layer_that_sees_nothing_is_refused():
    with pytest.raises(ValueError, match="memory 0"):
        TransformerXLConfig(memory=0)
