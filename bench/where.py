"""Where a training step's time goes: torch's profiler, its events put into the parts of a world model.

A part is a range around a method, the innermost one counting. The backward pass runs outside these ranges: an operation
of it belongs to the part of the forward operation that it differentiates, which share a number. On a GPU the time is
that of kernels, and what is left of the wall's clock is a GPU that waits for the host; on a CPU it is that of the
operations, and what is left is Python.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any
from unittest.mock import patch

import torch
from torch.profiler import ProfilerActivity, profile, record_function

from longdream.bench.measure import clock
from longdream.bench.step import Step
from longdream.worldmodels import latent_model
from longdream.worldmodels.parallel import ParallelWorldModel

PREFIX = "part: "
REST = "other"


def inside(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function in a range of a part."""

    def ranged(*given: Any, **named: Any) -> Any:
        with record_function(PREFIX + name):
            return function(*given, **named)

    return ranged


@contextmanager
def ranges(step: Step) -> Iterator[None]:
    """Put ranges around the parts of a step."""
    model = step.model
    places: list[tuple[Any, str, str]] = [
        (model.encoder, "forward", "encoder"),
        (model, "_terms", "KL, reward, continue"),
        (latent_model, "reconstruction_loss", "decoder and its loss"),
        (torch.nn.utils, "clip_grad_norm_", "clipping"),
        (step.optimizer, "step", "AdamW"),
    ]
    if isinstance(model, ParallelWorldModel):
        places += [(model, "observe", "latents, prior, posterior"), (model.backbone, "forward_counted", "backbone")]
    else:
        places += [(model, "observe", "recurrence")]
    with ExitStack() as stack:
        for owner, method, name in places:
            stack.enter_context(patch.object(owner, method, inside(name, getattr(owner, method))))
        yield


def parts(step: Step) -> dict[str, float]:
    """Return the seconds of one step by part, the largest first; and what is left of the wall's clock, by None."""
    device = step.device.type
    kinds = [ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if device == "cuda" else [])]
    with ranges(step):
        step()
        with profile(activities=kinds) as profiler:
            start = clock(device)
            step()
            whole = clock(device) - start
    found = grouped(profiler.events(), device)
    idle = "nothing: waits for the host" if device == "cuda" else "Python, and the profiler"
    found[idle] = max(0.0, whole - sum(found.values()))
    return dict(sorted(found.items(), key=lambda item: -item[1]))


def grouped(events: Any, device: str) -> dict[str, float]:
    """Return seconds by part."""
    events = [event for event in events if event.device_type.name == "CPU"]
    part_of = {event.sequence_nr: name for event in events if not backward(event) and (name := enclosing(event))}
    found: dict[str, float] = defaultdict(float)
    for event in events:
        taken = own_time(event, device)
        if taken and not event.name.startswith("ProfilerStep"):
            found[enclosing(event) or differentiated(event, part_of) or REST] += taken / 1e6
    return found


def own_time(event: Any, device: str) -> float:
    """Return microseconds of an event without those inside it; a range has no kernels, whatever torch links to it."""
    if device != "cuda":
        return event.self_cpu_time_total
    return 0.0 if event.is_user_annotation else event.self_device_time_total


def backward(event: Any) -> bool:
    """Say whether an event is part of the backward pass: below an evaluated function."""
    return event is not None and (event.name.startswith("autograd::engine") or backward(event.cpu_parent))


def enclosing(event: Any) -> str | None:
    """Return the part whose range an event is in, if it is in one."""
    while event is not None:
        if event.name.startswith(PREFIX):
            return event.name.removeprefix(PREFIX)
        event = event.cpu_parent
    return None


def differentiated(event: Any, part_of: dict[int, str]) -> str | None:
    """Return the part of what an event of the backward pass differentiates."""
    while event is not None:
        if event.sequence_nr in part_of and event.sequence_nr >= 0:
            return part_of[event.sequence_nr]
        event = event.cpu_parent
    return None
