"""The SISO kernels against a float64 loop over the discretised equation, written from the papers."""

import math

import pytest
import torch

from longdream.worldmodels.backbones.convolution import causal_convolution, smooth_length
from longdream.worldmodels.backbones.dplr import DPLRKernel
from longdream.worldmodels.backbones.hippo import legs_matrices, legs_nplr
from longdream.worldmodels.backbones.s4d import DiagonalKernel

H, N, L = 6, 8, 300


def dplr_system(kernel, channel):
    """A, B of one channel, complex128: the bilinear transform of Lambda - P P* with both conjugates."""
    lam = torch.complex(-kernel.log_decay.double().exp(), kernel.frequency.double())
    P, B = (torch.view_as_complex(p.double().contiguous()) for p in (kernel.P, kernel.B))
    lam, P, B = (torch.cat([x, x.conj()]) for x in (lam, P, B))
    A = torch.diag(lam) - P[:, None] * P.conj()
    dt = kernel.log_dt.double().exp()[channel]
    inverse = torch.linalg.inv(torch.eye(N) - dt / 2 * A)
    return inverse @ (torch.eye(N) + dt / 2 * A), inverse @ (dt * B)


def s4d_system(kernel, channel):
    """Zero-order hold of a diagonal system, both conjugates."""
    lam = torch.complex(-kernel.log_decay.double().exp(), kernel.frequency.double())[channel]
    lam = torch.cat([lam, lam.conj()])
    dt = kernel.log_dt.double().exp()[channel]
    return torch.diag((dt * lam).exp()), ((dt * lam).exp() - 1) / lam


@pytest.mark.parametrize(("kernel_type", "system"), [(DPLRKernel, dplr_system), (DiagonalKernel, s4d_system)])
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-5), (torch.float64, 1e-11)])
@torch.no_grad()
def test_kernel_is_the_recurrence(kernel_type, system, dtype, tolerance):
    torch.manual_seed(0)
    kernel = kernel_type(H, N)
    u = torch.randn(2, L, H)
    y, state = kernel.to(dtype)(u.to(dtype), torch.zeros(2, L, dtype=torch.bool), None, resets=False)
    for channel in range(H):
        A, B = system(kernel, channel)
        C = torch.view_as_complex(kernel.C.double())[channel]
        C = torch.cat([C, C.conj()])
        s, slow = torch.zeros(2, N, dtype=torch.complex128), []
        for t in range(L):
            s = s @ A.T + B * u[:, t, channel, None].double()
            slow.append((s @ C).real + kernel.D[channel].double() * u[:, t, channel].double())
        slow = torch.stack(slow, 1)
        assert (y[:, :, channel].double() - slow).norm() < tolerance * slow.norm()
        half = s[:, : N // 2]
        carried = state[:, channel].double()
        assert (carried - torch.cat([half.real, half.imag], -1)).norm() < tolerance * half.norm() * 2


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


def test_initial_step_sizes_span_the_papers_range():
    dt = DiagonalKernel(4000, 2).log_dt.exp()
    assert 1e-3 <= dt.min() < 2e-3
    assert 0.05 < dt.max() <= 0.1
    assert abs(dt.log().mean().item() - math.log(1e-2)) < 0.1  # uniform in the logarithm


def test_smooth_length_is_the_least():
    smooth = sorted(2**a * 3**b * 5**c for a in range(13) for b in range(9) for c in range(6))
    for least in range(1, 2100):
        assert smooth_length(least) == next(n for n in smooth if n >= least)


def test_convolution_is_a_causal_sum():
    u, kernel = torch.randn(2, 3, 7).double(), torch.randn(3, 7).double()
    slow = torch.stack([sum(kernel[:, s] * u[..., t - s] for s in range(t + 1)) for t in range(7)], -1)
    assert torch.allclose(causal_convolution(u, kernel), slow)
