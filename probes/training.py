"""Training a probe: a perceptron on features that stay as they are.

Source: Memory Maze (2022), section 5 and its authors' implementation: four hidden layers with LayerNorm and ELU, AdamW
with a learning rate of 3e-4, 32 stretches of 48 steps a batch (there the probe is trained beside an RSSM, on its
batches). How many steps it is trained for apart from a model is our choice.

Axes: N steps, I inputs, (...) the shape of one step's output.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice, pairwise

import torch
from torch import nn

from ..datasets.bar import progress_bar
from ..worldmodels.networks import NORM_EPS
from .examples import Example, Examples, blocks, endless

LAYERS = 4
READERS = 4  # threads that read blocks while the last batch is trained on


@dataclass(frozen=True)
class Training:
    """How a probe is trained."""

    steps: int = 10_000  # optimiser steps; our choice
    blocks: int = 32  # stretches of episodes in a batch
    block: int = 48  # steps of each
    lr: float = 3e-4  # of AdamW
    seed: int = 0  # of the first weights, of the order of the blocks, and of what the model draws


def network(inputs: int, hidden: int, shape: tuple[int, ...]) -> nn.Sequential:
    """Return the probe: (N inputs) -> (N *shape)."""
    widths = [inputs] + [hidden] * LAYERS
    layers = [
        nn.Sequential(nn.Linear(before, after), nn.LayerNorm(after, eps=NORM_EPS), nn.ELU())
        for before, after in pairwise(widths)
    ]
    return nn.Sequential(*layers, nn.Linear(hidden, math.prod(shape)), nn.Unflatten(1, shape))


def train(
    examples: Examples, episodes: Sequence[int], training: Training, device: torch.device, label: str | None = None
) -> nn.Module:
    """Return a probe trained on episodes. `label` names its progress bar; None: no bar."""
    task, first = examples.task, examples.read(episodes[0], 0, 1)
    probe = fresh(first.inputs.shape[1], task.hidden, task.output_shape(first.target), training.seed).to(device)
    optimiser = torch.optim.AdamW(probe.parameters(), training.lr)
    steps = batches(examples, episodes, training)
    for batch in progress_bar(steps, label, training.steps, unit="step", disable=label is None):
        example = batch.to(device)
        loss = task.loss(probe(example.inputs), example.target)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    return probe.eval()


def fresh(inputs: int, hidden: int, shape: tuple[int, ...], seed: int) -> nn.Sequential:
    """Return an untrained probe, (N inputs) -> (N *shape); torch's own generator is left as it was."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return network(inputs, hidden, shape)


def batches(examples: Examples, episodes: Sequence[int], training: Training) -> Iterator[Example]:
    """Yield the batches that a probe is trained on. The next one is read while one is worked on."""
    order = endless(blocks(examples.source, episodes, training.block), training.seed)
    with ThreadPoolExecutor(READERS) as pool:

        def ask() -> list[Future[Example]]:
            return [pool.submit(examples.read, *block) for block in islice(order, training.blocks)]

        following = ask()
        for step in range(training.steps):
            now, following = following, ask() if step + 1 < training.steps else []
            yield Example(*(torch.cat(parts) for parts in zip(*(part.result() for part in now), strict=True)))
