"""What the state-space systems are made of: HiPPO, initial values, the convolution."""

import math

import pytest
import torch

from longdream.worldmodels.backbones.catalogue import build_backbone
from longdream.worldmodels.backbones.convolution import causal_convolution, smooth_length
from longdream.worldmodels.backbones.hippo import legs_matrices, legs_nplr
from longdream.worldmodels.backbones.hybrid import HybridConfig
from longdream.worldmodels.backbones.s4 import S4Config
from longdream.worldmodels.backbones.s4d import DiagonalKernel
from longdream.worldmodels.backbones.s5 import S5, S5Config, S5Stack

N = 8


def test_nplr_is_hippo_legs():
    A, _ = legs_matrices(N)
    nplr = legs_nplr(N)
    lam, P = (torch.cat([x, x.conj()]) for x in (nplr.eigenvalues, nplr.P))
    rebuilt = torch.linalg.eigvals(torch.diag(lam) - P[:, None] * P.conj())
    expected = -torch.arange(1, N + 1, dtype=torch.float64)  # LegS is triangular: its eigenvalues are its diagonal
    assert torch.allclose(rebuilt.real.sort(descending=True).values, expected, atol=1e-6)
    assert rebuilt.imag.abs().max() < 1e-6
    assert torch.allclose(torch.linalg.eigvals(A).real.sort(descending=True).values, expected, atol=1e-9)


def test_nplr_clips_inputs_and_fixes_the_phase():
    nplr = legs_nplr(64)
    assert nplr.B.real.abs().max() <= 2
    assert nplr.B.imag.abs().max() <= 2
    assert (legs_nplr(64, clip=math.inf).B.abs() > 2).any()  # the clip binds
    assert torch.equal(nplr.B, legs_nplr(64).B)


@pytest.mark.parametrize("state", [0, 7])
def test_odd_state_sizes_are_refused(state):
    for build in (lambda: legs_nplr(state), lambda: DiagonalKernel(4, state)):
        with pytest.raises(ValueError, match="even"):
            build()


# a system of 4,000 step sizes by the configuration that asks for it
STACKS = {
    "s4": lambda **dt: S4Config(1, width=2000, mlp=0, state=2, kernel="dplr", **dt),
    "s4d": lambda **dt: S4Config(1, width=2000, mlp=0, state=2, kernel="s4d", **dt),
    "s5": lambda **dt: S5Config(1, width=2, mlp=0, state=4000, hippo_blocks=2000, **dt),
    "hybrid": lambda **dt: HybridConfig(1, 1, width=1000, mlp=4, state=2, heads=2, memory=2, **dt),
}


def step_sizes(config):
    """Return every initial step size of a backbone."""
    parameters = build_backbone(config).named_parameters()
    return torch.cat([p.detach() for name, p in parameters if name.endswith("log_dt")]).exp()


@pytest.mark.parametrize("stack", STACKS)
def test_initial_step_sizes_span_the_range_asked_for(stack):
    for asked in ({}, {"dt_min": 0.05, "dt_max": 2.0}):
        low, high = asked.get("dt_min", 1e-3), asked.get("dt_max", 1e-1)  # by default the papers' range
        dt = step_sizes(STACKS[stack](**asked))
        assert len(dt) == 4000
        assert low <= dt.min() < 1.1 * low
        assert 0.9 * high < dt.max() <= high
        assert abs(dt.log().mean().item() - math.log(low * high) / 2) < 0.1  # uniform in the logarithm


@pytest.mark.parametrize("config", [S4Config, S5Config, HybridConfig])
@pytest.mark.parametrize("dt", [{"dt_min": 0.0}, {"dt_min": 0.2}, {"dt_max": -1.0}])
def test_impossible_ranges_of_step_sizes_are_refused(config, dt):
    with pytest.raises(ValueError, match="need 0 < dt_min <= dt_max"):
        config(**dt)


def test_smooth_length_is_the_least():
    smooth = sorted(2**a * 3**b * 5**c for a in range(13) for b in range(9) for c in range(6))
    for least in range(1, 2100):
        assert smooth_length(least) == next(n for n in smooth if n >= least)


def test_convolution_is_a_causal_sum():
    u, kernel = torch.randn(2, 3, 7).double(), torch.randn(3, 7).double()
    slow = torch.stack([sum(kernel[:, s] * u[..., t - s] for s in range(t + 1)) for t in range(7)], -1)
    assert torch.allclose(causal_convolution(u, kernel), slow)
    assert torch.autograd.gradcheck(causal_convolution, (u.requires_grad_(), kernel.requires_grad_()))


def test_s5_begins_as_independent_hippo_systems():
    torch.manual_seed(0)
    system = S5(width=400, state=32, hippo_blocks=4, discretisation="zoh")
    imaginary = system.frequency.reshape(4, -1)
    assert torch.allclose(imaginary, legs_nplr(8).eigenvalues.imag.float().expand(4, -1))
    assert torch.allclose(system.log_decay.exp(), torch.tensor(0.5))
    B, C = (torch.view_as_complex(p.detach()) for p in (system.B, system.C))
    basis = torch.block_diag(*[legs_nplr(8).V] * 4).to(B.dtype)
    rebuilt = 2 * (basis @ B).real  # both conjugates: B in the real basis, of which every entry has variance 1 / D
    assert rebuilt.std() == pytest.approx(400**-0.5, rel=0.05)
    assert rebuilt.abs().max() < 2.3 * 400**-0.5  # cut off
    assert (2 * (C @ basis.conj().T).real).std() == pytest.approx(32**-0.5, rel=0.05)


def test_s5_layers_begin_as_in_its_own_code():
    layer = S5Stack(S5Config(1, 1, width=300, mlp=0, state=16, hippo_blocks=1)).layers[0]
    assert layer.mix.weight.std().item() == pytest.approx(300**-0.5, rel=0.05)
    assert not layer.mix.bias.any()


def test_s5_sizes_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match=r"state of 100 .* multiple of 16"):
        S5Config(state=100)
    with pytest.raises(ValueError, match="mlp=2048 must be 0"):
        S5Config(norm="post")
