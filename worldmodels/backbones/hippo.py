"""HiPPO-LegS: the initial state matrix of S4, as a normal matrix minus a rank-one term.

Axes: N state size, n = N/2 conjugate pairs.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor


class NPLR(NamedTuple):
    """A = Lambda - P P* in the eigenbasis, one of each conjugate pair; complex128."""

    eigenvalues: Tensor  # (n)
    P: Tensor  # (n) the rank-one term
    B: Tensor  # (n) the input vector
    V: Tensor  # (N n) the orthonormal eigenvectors


def legs_matrices(state: int) -> tuple[Tensor, Tensor]:
    """Return HiPPO-LegS's A (N N) and B (N) in the Legendre basis, float64.

    Source: Gu et al. 2020 (HiPPO), eq. for LegS: A_nk = -sqrt((2n+1)(2k+1)) below the diagonal, -(n+1) on it.
    """
    n = torch.arange(state, dtype=torch.float64)
    B = (2 * n + 1).sqrt()
    A = -torch.tril(B[:, None] * B, -1) - torch.diag(n + 1)
    return A, B


def legs_nplr(state: int, clip: float = 2.0) -> NPLR:
    """Diagonalise HiPPO-LegS up to its rank-one correction.

    Args:
        state: N, even.
        clip: bound on the real and imaginary parts of B (S4's implementation clips, and the clip binds, so the phase of
            the eigenvectors must be fixed first: it is the one `eigh` gives with the largest component made real).

    Raises:
        ValueError: `state` is odd or not positive.

    Source: Gu et al. 2022 (S4), theorem 1 and appendix C.2: P_n = sqrt(n + 1/2).
    """
    if state < 2 or state % 2:
        raise ValueError(f"the state size must be a positive even number, not {state}")
    A, B = legs_matrices(state)
    P = (torch.arange(state, dtype=torch.float64) + 0.5).sqrt()
    normal = A + P[:, None] * P  # -1/2 I plus a skew-symmetric matrix
    real = torch.diagonal(normal).mean()
    skew = normal - real * torch.eye(state, dtype=torch.float64)
    imaginary, vectors = torch.linalg.eigh(skew.to(torch.complex128) * -1j)
    keep = imaginary.argsort()[: state // 2]
    V = vectors[:, keep]
    largest = V.gather(0, V.abs().argmax(0, keepdim=True))
    V = V * (largest.abs() / largest)  # the phase of an eigenvector is arbitrary: fix it
    eigenvalues = torch.complex(real.expand(state // 2), imaginary[keep])
    inputs = V.conj().T @ B.to(V.dtype)
    clipped = torch.complex(inputs.real.clamp(-clip, clip), inputs.imag.clamp(-clip, clip))
    return NPLR(eigenvalues, V.conj().T @ P.to(V.dtype), clipped, V)
