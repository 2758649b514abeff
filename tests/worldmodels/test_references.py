"""The state-space systems against their papers: a float64 loop over the discretised equation, up to 4,000 steps.

The references start from the continuous parameters and carry every state with its conjugate, in complex arithmetic and
with dense matrices: nothing of the fast paths is in them.

Axes: B batch, T time, D width, H channels, N states (both of each conjugate pair; those of all channels).
"""

from typing import NamedTuple

import pytest
import torch
from torch import Tensor

from longdream.worldmodels.backbones.block import Resets
from longdream.worldmodels.backbones.dplr import DPLRKernel
from longdream.worldmodels.backbones.planar import Planar
from longdream.worldmodels.backbones.s4d import DiagonalKernel
from longdream.worldmodels.backbones.s5 import S5

B, WIDTH, STATE = 2, 6, 16
TOLERANCE = {torch.float32: 1e-5, torch.float64: 1e-11}  # of the norm, at every length


class System(NamedTuple):
    """x_t = A x_{t-1} + B u_t, y_t = C x_t + D u_t; complex128, dense."""

    A: Tensor  # (N N)
    B: Tensor  # (N D)
    C: Tensor  # (D N)


def number(parameter):
    """A complex number stored as two reals."""
    return torch.view_as_complex(parameter.detach().double().contiguous())


def both(x, dim=-1):
    """A state and its conjugate."""
    return torch.cat([x, x.conj()], dim)


def eigenvalues(kernel):
    return torch.complex(-kernel.log_decay.detach().double().exp(), kernel.frequency.detach().double())


def bilinear(A, B, dt):
    """(1 - dt/2 A)^-1 (1 + dt/2 A) and (1 - dt/2 A)^-1 dt B."""
    eye = torch.eye(A.shape[-1], dtype=A.dtype)
    inverse = torch.linalg.inv(eye - dt / 2 * A)
    return inverse @ (eye + dt / 2 * A), inverse @ (dt * B)


def zero_order_hold(A, B, dt):
    """exp(dt A) and A^-1 (exp(dt A) - 1) B."""
    transition = torch.linalg.matrix_exp(dt * A)
    return transition, torch.linalg.inv(A) @ (transition - torch.eye(A.shape[-1], dtype=A.dtype)) @ B


def side_by_side(A, B, C):
    """Make one system of one a channel: (H N N), (H N 1), (H 1 N)."""
    return System(*(torch.block_diag(*x) for x in (A, B, C)))


def s4_system(kernel):
    """S4: bilinear, A = Lambda - P P* and B shared by the channels, dt a channel."""
    P = both(number(kernel.P))
    A = torch.diag(both(eigenvalues(kernel))) - P[:, None] * P.conj()
    dt = kernel.log_dt.detach().double().exp()[:, None, None]
    return side_by_side(*bilinear(A, both(number(kernel.B))[:, None], dt), both(number(kernel.C))[:, None])


def s4d_system(kernel):
    """S4D: zero-order hold of a diagonal system a channel, whose B is all ones; its states are carried as x / Bbar."""
    A = torch.diag_embed(both(eigenvalues(kernel)))
    dt = kernel.log_dt.detach().double().exp()[:, None, None]
    ones = torch.ones(STATE, 1, dtype=A.dtype)
    transition, inputs = zero_order_hold(A, ones, dt)
    return side_by_side(transition, ones.expand_as(inputs), both(number(kernel.C))[:, None] * inputs.mT)


def s5_system(kernel):
    """S5: a step size dt_n a state, that is x_n' = dt_n (A x + B u)_n in steps of 1."""
    dt = kernel.log_dt.detach().double().exp()
    discretise = {"bilinear": bilinear, "zoh": zero_order_hold}[kernel.discretisation]
    A, B = torch.diag(both(dt * eigenvalues(kernel))), both(dt[:, None] * number(kernel.B), 0)
    return System(*discretise(A, B, 1.0), both(number(kernel.C)))


def loop(system, skip, u, first):
    """The slow reference: u (B T D), first (B T) -> y (B T D), the last state (B N)."""
    A, B, C = (x.T for x in system)
    x, outputs = torch.zeros(len(u), len(A), dtype=A.dtype), []
    for inputs, start in zip(u.to(A.dtype).unbind(1), first.unbind(1), strict=True):
        x = torch.where(start[:, None], 0, x) @ A + inputs @ B
        outputs.append((x @ C).real)
    return torch.stack(outputs, 1) + skip.detach().double() * u, x


def one_of_each_pair(x):
    """Drop the conjugates of a state (B N) or, side by side, (B H*N): real parts and imaginary parts."""
    x = x.unflatten(1, (-1, STATE))[..., : STATE // 2].squeeze(1)
    return x.real, x.imag


def parts(state):
    """Real and imaginary parts of a carried state."""
    return state if isinstance(state, Planar) else state.unbind(-1)


CASES = {
    "s4": (lambda: DPLRKernel(WIDTH, STATE), s4_system),
    "s4d": (lambda: DiagonalKernel(WIDTH, STATE), s4d_system),
    "s5-bilinear": (lambda: S5(WIDTH, STATE, 2, "bilinear"), s5_system),
    "s5-zoh": (lambda: S5(WIDTH, STATE, 2, "zoh"), s5_system),
}


def assert_close(x, exact, tolerance):
    assert x.shape == exact.shape
    assert (x.double() - exact).norm() <= tolerance * exact.norm()


@pytest.mark.parametrize("length", [1, 33, 4000])
@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("name", CASES)
@torch.no_grad()
def test_outputs_and_states_are_those_of_the_discretised_equation(name, dtype, length):
    torch.manual_seed(0)
    make, system = CASES[name]
    kernel, u, first = make(), torch.randn(B, length, WIDTH), torch.zeros(B, length, dtype=torch.bool)
    exact, last = loop(system(kernel), kernel.D, u, first)
    y, state = kernel.to(dtype)(u.to(dtype), Resets(first), None)
    assert_close(y, exact, TOLERANCE[dtype])
    for part, exact_part in zip(parts(state), one_of_each_pair(last), strict=True):
        assert_close(part, exact_part, TOLERANCE[dtype])


@pytest.mark.parametrize("name", CASES)
@torch.no_grad()
def test_a_reset_sets_the_state_to_zero(name):
    torch.manual_seed(0)
    make, system = CASES[name]
    kernel, u, first = make(), torch.randn(B, 200, WIDTH), torch.zeros(B, 200, dtype=torch.bool)
    first[1, [40, 41, 150]] = True
    exact, last = loop(system(kernel), kernel.D, u, first)
    y, state = kernel.double()(u.double(), Resets(first), None)
    assert_close(y, exact, TOLERANCE[torch.float64])
    for part, exact_part in zip(parts(state), one_of_each_pair(last), strict=True):
        assert_close(part, exact_part, TOLERANCE[torch.float64])
