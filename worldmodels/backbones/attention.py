"""Attention over exactly the last M steps, with relative positions; its cost in training is O(T M).

    score(t, s) = ((q_t + u) . k_s + (q_t + v) . r_{t-s}) / sqrt(E)      for t - M <= s <= t, within one episode

In training the queries are cut into chunks; each meets the M + Q keys that any of its Q queries may see. The position
term is computed by distance and skewed onto the keys.

Axes: B batch, T time, D width, H heads, E head width, M memory, C chunks, Q queries of a chunk, W = M + Q keys of a
chunk. Where a tensor holds keys and values, an axis of 2 does.

Source: Dai et al. 2019 (Transformer-XL), section 3.3 and appendix B. There a query sees between M and M + T past steps;
here it sees M in training too, so that training and stepping agree.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .convolution import segments
from .tape import Tape

CHUNK = 64  # most of Q: smaller wastes less of a chunk on keys outside the band, larger makes larger products


class Biases(NamedTuple):
    """What every query adds to itself, wherever it stands."""

    content: Tensor  # (H E) u
    position: Tensor  # (H E) v


class Band(NamedTuple):
    """Who sees whom in a sequence of T steps, padded to CQ; the same for every layer."""

    length: int  # T
    hidden: Tensor  # (B 1 C Q W) bool: keys ahead, more than M steps back, of another episode, or never filled
    kept: Tensor  # (B 1 1 M 1) bool, which of the last M steps belong to the last episode
    filled: Tensor  # (B) int64, their number


class AttentionCache(NamedTuple):
    """What the steps of a rollout share."""

    positions: Tensor  # (H E M+1) r by distance, M first
    tape: Tape


def sinusoids(memory: int, like: Tensor) -> Tensor:
    """Return the encodings (M+1 D) of the distances M, M-1, ..., 0, with the D, dtype and device of `like` (... D).

    Source: Transformer-XL's code: all sines, then all cosines.
    """
    width = like.shape[-1]
    distances = torch.arange(memory, -1, -1, dtype=torch.float64, device=like.device)
    exponents = torch.arange(0, width, 2, dtype=torch.float64, device=like.device) / width
    angles = distances[:, None] * 10_000.0**-exponents
    return torch.cat([angles.sin(), angles.cos()], -1)[:, :width].to(like.dtype)


def chunk_length(length: int) -> int:
    """Return Q for `length` steps: as even as multiples of 8 allow, or all of them where one chunk is enough."""
    if length <= CHUNK:
        return length
    chunks = -(-length // CHUNK)
    return -(-length // (8 * chunks)) * 8


def padding(length: int) -> int:
    """Return how many steps `length` lacks to fill its chunks."""
    return -length % chunk_length(length)


def band(first: Tensor, filled: Tensor, memory: int) -> Band:
    """Lay out a sequence: `first` (B T) bool, `filled` (B) the number of steps held in the memory of M."""
    length, segment = first.shape[1], segments(first)
    queries, rest = chunk_length(length), padding(length)
    empty = torch.arange(memory, device=first.device) < (memory - filled)[:, None]  # (B M)
    keys = torch.cat([-empty.long(), segment], 1)  # (B M+T) the memory continues into segment 0; -1 holds nothing
    kept = keys[:, length:] == segment[:, -1:]
    segment, keys = (F.pad(ids, (0, rest), value=-2) for ids in (segment, keys))
    windows = keys.unfold(1, memory + queries, queries)  # (B C W)
    other = segment.unflatten(1, (-1, queries))[..., None] != windows[:, :, None]  # (B C Q W)
    square = torch.ones(other.shape[2:], dtype=torch.bool, device=first.device)
    outside = ~(square.triu() & square.tril(memory))
    return Band(length, (other | outside)[:, None], kept[:, None, None, :, None], kept.sum(1))


def skew(scores: Tensor) -> Tensor:
    """Shift row i to the right by i, from distances to keys: (... Q W+1), of which M + 1 count -> (... Q W).

    A view: rows of W + 1 read as rows of W. What a row takes from another lies outside the band.
    """
    queries, width = scores.shape[-2:]
    return scores.flatten(-2)[..., :-queries].unflatten(-1, (queries, width - 1))


class RelativeAttention(nn.Module):
    """A pre-norm attention layer with a residual connection."""

    def __init__(self, width: int, heads: int, memory: int) -> None:
        super().__init__()
        self.heads, self.size, self.memory = heads, -(-width // heads), memory
        inner = heads * self.size
        self.norm = nn.LayerNorm(width)
        self.project = nn.Linear(width, 3 * inner, bias=False)
        self.position = nn.Linear(width, inner, bias=False)
        self.mix = nn.Linear(inner, width, bias=False)

    def initial(self, batch_size: int) -> Tensor:
        """Return an empty memory (B H 2 M E)."""
        return self.mix.weight.new_zeros(batch_size, self.heads, 2, self.memory, self.size)

    def forward(self, x: Tensor, memory: Tensor, biases: Biases, where: Band) -> tuple[Tensor, Tensor]:
        """Run over a padded sequence: x (B CQ D), memory (B H 2 M E) -> the same."""
        query, key, value = self._project(x).unbind(2)
        old_keys, old_values = memory.to(query.dtype).unbind(2)
        keys, values = torch.cat([old_keys, key], 2), torch.cat([old_values, value], 2)  # (B H M+CQ E)
        y = self._attend(query, keys, values, biases, where.hidden)
        last = slice(where.length, where.length + self.memory)
        newest = torch.stack([keys[:, :, last], values[:, :, last]], 2).to(memory.dtype)
        return x + self.mix(y.transpose(1, 2).flatten(2)), torch.where(where.kept, newest, 0.0)

    def step_cache(self) -> AttentionCache:
        """Project the positions once for a rollout."""
        return AttentionCache(self._positions(), Tape())

    def step(
        self, x: Tensor, memory: Tensor, biases: Biases, hidden: Tensor, cache: AttentionCache
    ) -> tuple[Tensor, Tensor]:
        """Advance one step: x (B D), memory (B H 2 M E) -> the same; `hidden` (B 1 1 M+1) masks what is not filled."""
        with torch.autocast(x.device.type, enabled=False):  # it would convert the whole memory at every step
            projected = self._project(x[:, None].to(memory.dtype))  # (B H 3 1 E)
            window, memory = cache.tape.append(memory, projected[:, :, 1:])
            content, position = self._biased(projected[:, :, 0], biases)
            bias = (position.transpose(0, 2) @ cache.positions.to(memory.dtype)).transpose(0, 2)  # (B H 1 M+1)
            bias = bias.masked_fill(hidden, -torch.inf).flatten(0, 1)
            keys, values = (part.flatten(0, 1) for part in window.unbind(2))  # views (BH M+1 E)
            scores = torch.baddbmm(bias, content.flatten(0, 1), keys.transpose(1, 2))
            y = (scores.softmax(-1) @ values).view(len(x), -1)
            return x + self.mix(y), memory

    def _project(self, x: Tensor) -> Tensor:
        """Return queries, keys and values (B H 3 T E)."""
        return self.project(self.norm(x)).unflatten(-1, (self.heads, 3, self.size)).permute(0, 2, 3, 1, 4)

    def _positions(self) -> Tensor:
        """Return r by distance, M first: (H E M+1)."""
        encoded = sinusoids(self.memory, self.position.weight)
        return self.position(encoded).unflatten(-1, (self.heads, self.size)).permute(1, 2, 0)

    def _biased(self, query: Tensor, biases: Biases) -> tuple[Tensor, Tensor]:
        """Return the scaled queries (B H T E) that meet keys, and those that meet positions."""
        scale = self.size**-0.5
        return (query + biases.content[:, None]) * scale, (query + biases.position[:, None]) * scale

    def _attend(self, query: Tensor, keys: Tensor, values: Tensor, biases: Biases, hidden: Tensor) -> Tensor:
        """Let queries (B H CQ E) see keys and values (B H M+CQ E), chunk by chunk: (B H CQ E)."""
        queries, seen = hidden.shape[-2:]
        content, position = (part.unflatten(2, (-1, queries)) for part in self._biased(query, biases))  # (B H C Q E)
        distances = F.pad(self._positions(), (0, queries))[:, None]  # (H 1 E W+1)
        scores = content @ keys.unfold(2, seen, queries)  # (B H C Q W)
        scores = scores.add_(skew(position @ distances)).masked_fill_(hidden, -torch.inf)
        weights = scores.softmax(-1, dtype=torch.promote_types(scores.dtype, torch.float32)).to(values.dtype)
        return (weights @ values.unfold(2, seen, queries).transpose(-2, -1)).flatten(2, 3)
