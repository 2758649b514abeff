"""How far a training step in lower precision is from the same step in float32: its loss and its gradient."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from longdream.bench.step import Precision, Step
from longdream.eval.speed import Shape
from longdream.worldmodels.families import WorldModelConfig


class Outcome(NamedTuple):
    """What a step makes of one batch, one draw of weights and one of latents."""

    terms: dict[str, float]
    gradients: dict[str, Tensor]


class Distance(NamedTuple):
    """Of one outcome from another, which is taken as true."""

    loss: float  # relative difference of the objective
    term: float  # and of the term that differs most
    gradient: float  # norm of the difference over the norm, of the whole gradient
    cosine: float  # between the two whole gradients
    worst: float  # relative norm of the difference, of the worst parameter
    worst_name: str


def outcome(config: WorldModelConfig, shape: Shape, device: str, precision: Precision) -> Outcome:
    """Take the gradients of a new model."""
    step = Step(config, shape, device, precision=precision)
    torch.manual_seed(1)
    loss = step.forward()
    loss.total.backward()
    terms = {"loss": loss.total.item()} | {name: term.item() for name, term in loss.terms.items()}
    return Outcome(terms, {name: p.grad.double() for name, p in step.model.named_parameters() if p.grad is not None})


def distance(low: Outcome, true: Outcome) -> Distance:
    """Return how far an outcome is from the true one."""
    terms = {name: abs(low.terms[name] - value) / max(abs(value), 1e-6) for name, value in true.terms.items()}
    a, b = (torch.cat([g.flatten() for g in found.gradients.values()]) for found in (low, true))
    off = {name: relative(low.gradients[name], g) for name, g in true.gradients.items() if g.norm() > 1e-3 * b.norm()}
    worst = max(off, key=lambda name: off[name])
    cosine = torch.nn.functional.cosine_similarity(a, b, 0).item()
    return Distance(terms.pop("loss"), max(terms.values()), relative(a, b), cosine, off[worst], worst)


def relative(a: Tensor, b: Tensor) -> float:
    """Return the norm of a - b over that of b."""
    return ((a - b).norm() / b.norm()).item()
