"""Causal convolution of long sequences, and the split of a sequence at resets.

Axes: B batch, H channels, L time.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable


@lru_cache(maxsize=256)
def smooth_length(least: int) -> int:
    """Return the smallest 2^a 3^b 5^c that is at least `least`: FFTs of such lengths are up to three times faster."""
    best = 1 << (least - 1).bit_length()
    five = 1
    while five < best:
        three = five
        while three < best:
            two = -(-least // three) - 1
            best = min(best, three << max(two, 0).bit_length())
            three *= 3
        five *= 5
    return best


def causal_convolution(u: Tensor, kernel: Tensor) -> Tensor:
    """Convolve `u` (B H L) with `kernel` (H L), causally, by FFT of length >= 2L."""
    return _CausalConvolution.apply(u, kernel)


class _CausalConvolution(torch.autograd.Function):
    """The adjoint is a correlation. Autograd would compute it through FFTs of complex numbers, at twice the cost."""

    @staticmethod
    def forward(ctx: Any, u: Tensor, kernel: Tensor) -> Tensor:
        n = smooth_length(2 * u.shape[-1])
        spectra = torch.fft.rfft(u, n=n), torch.fft.rfft(kernel, n=n)
        ctx.save_for_backward(*spectra)
        ctx.n = n
        return torch.fft.irfft(spectra[0] * spectra[1], n=n)[..., : u.shape[-1]]

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor]:
        u, kernel = ctx.saved_tensors
        g = torch.fft.rfft(gradient, n=ctx.n)
        to_u = torch.fft.irfft(g * kernel.conj(), n=ctx.n)[..., : gradient.shape[-1]]
        to_kernel = torch.fft.irfft((g * u.conj()).sum(0), n=ctx.n)[..., : gradient.shape[-1]]
        return to_u, to_kernel


def segments(first: Tensor) -> Tensor:
    """Number the stretches between resets: (B L) bool -> (B L) int64; 0 is what still belongs to the carried state."""
    return first.long().cumsum(1)
