"""The gradient of a whole batch, some of its rows at a time, on any number of processes.

A loss is a mean over the steps that it counts, and parts of a batch count different numbers of them: S4WM counts none
where an episode begins. So each part weighs by its share of the counted steps of all processes, times the number of
processes, over whom DDP averages: the gradient is that of one process which holds the whole batch.

Axes: B batch (the rows of this process), T time, P parts.
"""

from __future__ import annotations

import operator
from contextlib import nullcontext
from typing import NamedTuple

import torch
from accelerate import Accelerator
from torch import Tensor, nn
from torch.utils._pytree import tree_map, tree_map_only

from ..datasets.batch import Batch
from .base import State


class BatchLoss(NamedTuple):
    """The loss of a whole batch, detached: `base.Loss` without what only imagination begins with."""

    total: Tensor  # ()
    terms: dict[str, Tensor]  # {name: ()}
    state: State | None  # after the last step, where it is wanted


class Part(NamedTuple):
    """Rows of a batch, with the state that is carried into them."""

    batch: Batch
    state: State | None


def accumulate(
    accelerator: Accelerator, model: nn.Module, batch: Batch, state: State | None, rows: int, carries: bool
) -> BatchLoss:
    """Add the gradient of a batch's loss to that of the parameters. Nothing here makes the host wait for a GPU.

    Args:
        accelerator: of this process; it has prepared the model.
        model: the world model, as prepared. Processes exchange gradients once, with the last part.
        batch: this process' rows (B T ...).
        state: what is carried into the batch, or None.
        rows: computed at once, at most: memory grows with them and hardly with B.
        carries: whether the state after the batch is wanted.

    Returns:
        The loss, detached; `total` and `terms` averaged over the processes are the means over all counted steps. Its
        state is None where it is not wanted.
    """
    world_model = accelerator.unwrap_model(model, keep_fp32_wrapper=True)
    parts = split(batch, state, rows)
    counts = torch.stack([world_model.counted(part.batch).sum() for part in parts])  # (P)
    everywhere = accelerator.reduce(counts.sum(), "sum").double()
    weights = counts * accelerator.num_processes / everywhere.clamp(min=1)
    losses = []
    for part, weight in zip(parts, weights, strict=True):
        with nullcontext() if part is parts[-1] else accelerator.no_sync(model):
            losses.append(_add_gradient(accelerator, model, part, weight, carries))
    total = torch.stack([loss.total for loss in losses]).sum()
    terms = {name: torch.stack([loss.terms[name] for loss in losses]).sum() for name in losses[0].terms}
    # a row is an episode, or a window
    terms["row_sum"] = total * everywhere / (len(batch.first) * accelerator.num_processes)
    return BatchLoss(total, terms, joined([loss.state for loss in losses]) if carries else None)


def split(batch: Batch, state: State | None, rows: int) -> list[Part]:
    """Return a batch and its state in parts of up to `rows` rows."""
    starts = range(0, len(batch.first), rows)
    states = [tree_map_only(Tensor, operator.itemgetter(slice(start, start + rows)), state) for start in starts]
    return [Part(batch.rows(start, start + rows), kept) for start, kept in zip(starts, states, strict=True)]


def joined(states: list[State]) -> State:
    """Return the states of a batch's parts as that of the batch."""
    return tree_map(lambda *leaves: torch.cat(leaves), *states)


def too_many_rows(rows: int) -> str:
    """Return what there is to do where a GPU's memory does not hold so many rows at once."""
    if rows > 1:
        return (
            f"the GPU's memory is too small for {rows} rows at once: add --micro-batch {rows // 2}, which computes so "
            "many at a time and learns from the whole batch as before"
        )
    return (
        "the GPU's memory is too small for one row: --precision bf16, --world-model.recompute-encoder and a smaller "
        "--world-model.chunk need less, and so do shorter rows (--window)"
    )


def _add_gradient(accelerator: Accelerator, model: nn.Module, part: Part, weight: Tensor, carries: bool) -> BatchLoss:
    """Add the gradient of a part; return its weighed loss, and nothing that keeps its activations alive."""
    loss = model(*part)
    accelerator.backward(loss.total * weight)
    terms = {name: term * weight for name, term in loss.terms.items()}
    # a copy in one layout: views would keep whole sequences alive, and a restored state has no other layout
    copy = tree_map(lambda x: x.clone(memory_format=torch.contiguous_format), loss.state) if carries else None
    return BatchLoss(loss.total.detach() * weight, terms, copy)
