"""The gated linear recurrence of Mamba-2: a matrix per head that decays by an input-dependent scalar.

    S_t = a_t S_{t-1} + k_t v_t^T        y_t = q_t S_t        0 < a_t <= 1

Chunk by chunk: inside a chunk of Q steps y is a masked attention, which is a few products; between chunks only S is
carried. A reset is a mask and not a decay of zero: log 0 has no gradient. On a GPU no product here is in TF32.

Axes: B batch, T time, N state (rows of S), H heads, P head width (columns of S), C chunks, Q steps of a chunk.

Source: Dao and Gu 2024 (Mamba-2), section 6 (SSD); q and k are shared by the heads, as there.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from .exact import exact_product

CHUNK = 64  # Q


def ssd(q: Tensor, k: Tensor, v: Tensor, log_decay: Tensor, first: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
    """Run the recurrence over a sequence.

    Args:
        q: (B T N) reads.
        k: (B T N) writes.
        v: (B T H P) what is written.
        log_decay: (B T H) log a, not positive.
        first: (B T) bool; where set, S is zero before the step.
        state: (B N H P) S before the first step.

    Returns:
        y (B T H P), and S after the last step.
    """
    length = q.shape[1]
    chunk = min(CHUNK, length)
    q, k, v, log_decay, first = (_chunks(x, chunk) for x in (q, k, v, log_decay, first))
    segment = first.long().cumsum(2)  # (B C Q) 0 is what still belongs to the state that enters the chunk
    total = log_decay.double().cumsum(2)  # (B C Q H) differences of it count, and may be small ones of large numbers
    enters = (segment == 0)[..., None]  # (B C Q 1)
    leaves = (segment == segment[:, :, -1:])[..., None]
    lasting = v * _exp(total[:, :, -1:] - total, leaves, v.dtype)[..., None]
    written = exact_product(k.transpose(2, 3), lasting.flatten(3))  # (B C N HP)
    kept = _exp(total[:, :, -1], enters[:, :, -1], v.dtype)  # (B C H)
    states, last = _scan(written.unflatten(3, v.shape[3:]), kept, state)
    read = exact_product(q, states.flatten(3)).unflatten(3, v.shape[3:])  # (B C Q H P)
    read = read * _exp(total, enters, v.dtype)[..., None]
    return (_inside(q, k, v, total, segment) + read).flatten(1, 2)[:, :length], last


def ssd_step(q: Tensor, k: Tensor, v: Tensor, log_decay: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
    """Advance one step: q, k (B N), v (B H P), log_decay (B H), state (B N H P) -> y (B H P), state (B N H P)."""
    state = (state * log_decay.exp()[:, None, :, None]).addcmul_(k[:, :, None, None], v[:, None])
    return (q[:, None] @ state.flatten(2)).view_as(v), state


def _chunks(x: Tensor, chunk: int) -> Tensor:
    """Pad (B T ...) with zeros, which write nothing and decay nothing, and cut it: (B C Q ...)."""
    rest = -x.shape[1] % chunk
    return F.pad(x, (0, 0) * (x.dim() - 2) + (0, rest)).unflatten(1, (-1, chunk))


def _exp(exponent: Tensor, visible: Tensor, dtype: torch.dtype) -> Tensor:
    """Return exp(exponent) where `visible`, else 0; the exponent elsewhere may be large and must not reach exp."""
    return exponent.to(dtype).masked_fill(~visible, -torch.inf).exp()


def _scan(written: Tensor, kept: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
    """Return the state that enters every chunk (B C N H P), and the one that leaves the last (B N H P)."""
    states = []
    for new, decay in zip(written.unbind(1), kept.unbind(1), strict=True):
        states.append(state)
        state = state * decay[:, None, :, None] + new
    return torch.stack(states, 1), state


def _inside(q: Tensor, k: Tensor, v: Tensor, total: Tensor, segment: Tensor) -> Tensor:
    """Return what each step reads of its own chunk: (B C Q H P)."""
    total = total.transpose(2, 3)  # (B C H Q)
    visible = (segment[..., :, None] == segment[..., None, :]).tril()[:, :, None]  # (B C 1 Q Q)
    decay = _exp(total[..., :, None] - total[..., None, :], visible, v.dtype)  # (B C H Q Q)
    scores = exact_product(q, k.transpose(2, 3))[:, :, None] * decay
    return exact_product(scores, v.transpose(2, 3)).transpose(2, 3)
