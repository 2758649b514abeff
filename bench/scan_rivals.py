"""What `bench/scan.py` compares with: other ways to scan, the textbook S4D convolution, the GRU of the RSSMs.

Axes: B batch, T time, n complex states, D width, H channels.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch._higher_order_ops.associative_scan import associative_scan

from longdream.worldmodels.backbones.s4d import DiagonalKernel

CPP = """
#include <torch/extension.h>
#include <vector>
using torch::Tensor;

// x_t = k_t a x_{t-1} + b_t, planar: a (2 n), b (B T 2 n), start (B 2 n), keep (B T); all float, contiguous
Tensor forward(Tensor a, Tensor b, Tensor start, Tensor keep) {
  Tensor x = torch::empty_like(b);
  const int64_t B = b.size(0), T = b.size(1), n = b.size(3);
  const float *ar = a.data_ptr<float>(), *ai = ar + n, *k = keep.data_ptr<float>();
  for (int64_t row = 0; row < B; row++) {
    const float* last = start.data_ptr<float>() + row * 2 * n;
    for (int64_t t = 0; t < T; t++) {
      const int64_t at = row * T + t;
      const float* in = b.data_ptr<float>() + at * 2 * n;
      float* out = x.data_ptr<float>() + at * 2 * n;
      for (int64_t p = 0; p < n; p++) {
        out[p] = k[at] * (ar[p] * last[p] - ai[p] * last[n + p]) + in[p];
        out[n + p] = k[at] * (ar[p] * last[n + p] + ai[p] * last[p]) + in[n + p];
      }
      last = out;
    }
  }
  return x;
}

std::vector<Tensor> backward(Tensor a, Tensor x, Tensor start, Tensor keep, Tensor gradient) {
  Tensor to_b = torch::empty_like(x), to_a = torch::zeros_like(a), to_start = torch::zeros_like(start);
  const int64_t B = x.size(0), T = x.size(1), n = x.size(3);
  const float *ar = a.data_ptr<float>(), *ai = ar + n, *k = keep.data_ptr<float>();
  float* da = to_a.data_ptr<float>();
  for (int64_t row = 0; row < B; row++) {
    float* carry = to_start.data_ptr<float>() + row * 2 * n;
    for (int64_t t = T - 1; t >= 0; t--) {
      const int64_t at = row * T + t;
      const float* g = gradient.data_ptr<float>() + at * 2 * n;
      const float* last = t ? x.data_ptr<float>() + (at - 1) * 2 * n : start.data_ptr<float>() + row * 2 * n;
      float* out = to_b.data_ptr<float>() + at * 2 * n;
#pragma GCC ivdep
      for (int64_t p = 0; p < n; p++) {
        const float re = g[p] + carry[p], im = g[n + p] + carry[n + p];
        out[p] = re;
        out[n + p] = im;
        da[p] += k[at] * (re * last[p] + im * last[n + p]);
        da[n + p] += k[at] * (im * last[p] - re * last[n + p]);
        carry[p] = k[at] * (ar[p] * re + ai[p] * im);
        carry[n + p] = k[at] * (ar[p] * im - ai[p] * re);
      }
    }
  }
  return {to_a, to_b, to_start};
}
"""


class CppScan(torch.autograd.Function):
    """The plain loop in C++, on planar float32 tensors of a CPU."""

    module: Any = None  # what `build` has compiled

    @classmethod
    def build(cls) -> str | None:
        """Compile it; return why that cannot be done, if it cannot."""
        from torch.utils.cpp_extension import load_inline

        try:
            flags = ["-O3", "-march=native", "-ffast-math"]
            cls.module = load_inline("longdream_scan", CPP, functions=["forward", "backward"], extra_cflags=flags)
        except (RuntimeError, OSError) as error:
            return str(error).splitlines()[0]
        return None

    @staticmethod
    def forward(ctx: Any, a: Tensor, b: Tensor, start: Tensor, keep: Tensor) -> Tensor:
        x = CppScan.module.forward(a, b, start, keep)
        ctx.save_for_backward(a, x, start, keep)
        return x

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        a, x, start, keep = ctx.saved_tensors
        return *CppScan.module.backward(a, x, start, keep, gradient.contiguous()), None


def folded(a: Tensor, b: Tensor, start: Tensor, keep: Tensor) -> tuple[Tensor, Tensor]:
    """Return k_t a and b_t, both (B T n), the start state within the first b."""
    a = keep[..., None] * a.to(b.dtype)
    return a, torch.cat([b[:, :1] + a[:, :1] * start[:, None], b[:, 1:]], 1)


def associative(a: Tensor, b: Tensor, start: Tensor, keep: Tensor) -> Tensor:
    """Torch's private scan, eager, differentiated by autograd."""

    def combine(early: list[Tensor], late: list[Tensor]) -> tuple[Tensor, Tensor]:
        return late[0] * early[0], late[0] * early[1] + late[1]

    return associative_scan(combine, folded(a, b, start, keep), 1, combine_mode="generic")[1]


def hillis_steele(a: Tensor, b: Tensor, start: Tensor, keep: Tensor) -> Tensor:
    """Doubling in log2 T passes, differentiated by autograd."""
    a, b = folded(a, b, start, keep)
    reach = 1
    while reach < b.shape[1]:
        b = torch.cat([b[:, :reach], b[:, reach:] + a[:, reach:] * b[:, :-reach]], 1)
        a = torch.cat([a[:, :reach], a[:, reach:] * a[:, :-reach]], 1)
        reach *= 2
    return b


def loop(a: Tensor, b: Tensor, start: Tensor, keep: Tensor) -> Tensor:
    """The recurrence step by step; exact enough to judge by in complex128."""
    a, x, states = a.to(b.dtype), start, []
    for t in range(b.shape[1]):
        x = keep[:, t, None] * a * x + b[:, t]
        states.append(x)
    return torch.stack(states, 1)


def textbook(kernel: DiagonalKernel, u: Tensor) -> Tensor:
    """S4D by the book: the whole Vandermonde matrix of the kernel, then an FFT; u (B T H) -> y (B T H)."""
    length = u.shape[1]
    A = torch.complex(-kernel.log_decay.exp(), kernel.frequency)
    exponent = kernel.log_dt.exp()[:, None] * A
    C = torch.view_as_complex(kernel.C) * (exponent.exp() - 1) / A
    powers = (exponent[..., None] * torch.arange(length, device=u.device)).exp()  # (H n T)
    response = 2 * torch.einsum("hn,hnt->ht", C, powers).real
    x = u.transpose(1, 2)
    y = torch.fft.irfft(torch.fft.rfft(x, n=2 * length) * torch.fft.rfft(response, n=2 * length), n=2 * length)
    return (y[..., :length] + kernel.D[:, None] * x).transpose(1, 2)


class LayerNormGRU(nn.Module):
    """The recurrent cell of DreamerV3's RSSM, in a loop over time; (B T D) -> (B T D)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.parts = nn.Linear(2 * width, 3 * width, bias=False)
        self.norm = nn.LayerNorm(3 * width)

    def forward(self, x: Tensor) -> Tensor:
        """Run over a sequence from zero."""
        h, states = torch.zeros_like(x[:, 0]), []
        for inputs in x.unbind(1):
            reset, candidate, update = self.norm(self.parts(torch.cat([inputs, h], -1))).chunk(3, -1)
            update = torch.sigmoid(update - 1)
            h = update * torch.tanh(torch.sigmoid(reset) * candidate) + (1 - update) * h
            states.append(h)
        return torch.stack(states, 1)
