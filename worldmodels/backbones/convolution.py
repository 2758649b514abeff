"""Causal convolution of long sequences, and the split of a sequence at resets.

Axes: B batch, H channels, L time.
"""

from __future__ import annotations

from functools import lru_cache

import torch
from torch import Tensor


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
    length = u.shape[-1]
    n = smooth_length(2 * length)
    return torch.fft.irfft(torch.fft.rfft(u, n=n) * torch.fft.rfft(kernel, n=n), n=n)[..., :length]


def segments(first: Tensor) -> Tensor:
    """Number the stretches between resets: (B L) bool -> (B L) int64; 0 is what still belongs to the carried state."""
    return first.long().cumsum(1)
