"""Fast rollouts: `imagine` with one imagined step compiled, or replayed as a CUDA graph.

A step is hundreds of small operations, and launching them is most of its cost on a GPU. The noise is drawn outside the
step, as `imagine` draws it, so that the latents are the same up to rounding.

Axes: B batch, H horizon, A action, K latents, V classes.
"""

from __future__ import annotations

import os
import shlex
import shutil
import sys
import sysconfig
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, NamedTuple, TypeVar

import torch
from torch import Tensor
from torch.utils._pytree import tree_leaves, tree_map_only

from .base import Generators, Latent, State, StepCache
from .latent_model import LatentWorldModel
from .latents import noise

How = Literal["compiled", "cuda-graph"]
Advance = Callable[[State, Tensor, StepCache, Tensor], tuple[Latent, State]]  # as `LatentWorldModel.advance`
T = TypeVar("T")
WARM_UP = 3  # steps before a capture, in which libraries choose their kernels and take their workspaces


class Rollout:
    """A model's `imagine`, without gradients.

    The first call compiles or captures, and so does the first of another batch size. Afterwards parameters may change
    in place (an optimiser's step, loaded weights); a model that moves to another device or dtype needs a new rollout.
    """

    def __init__(self, model: LatentWorldModel, how: How, backend: str | Callable[..., Any] = "inductor") -> None:
        """Prepare rollouts of `model`.

        Args:
            model: the world model.
            how: its steps are taken.
            backend: of `torch.compile`.

        Raises:
            ValueError: the steps cannot be taken like this on the model's device, or on this machine.
        """
        device = next(model.parameters()).device.type
        if how == "cuda-graph" and device != "cuda":
            raise ValueError(f"a CUDA graph is for a model on a GPU, and this one is on the {device}: compile it")
        if how == "compiled" and backend == "inductor" and device == "cpu":
            check_compiler()
        self._model = model
        self._advance: Advance
        if how == "compiled":
            self._advance = torch.compile(model.advance, backend=backend)
        else:
            self._advance = GraphedSteps(model)

    @torch.no_grad()
    def __call__(self, state: State, actions: Tensor, generators: Generators = None) -> tuple[Latent, State]:
        """Imagine under `actions` (B H A); see `WorldModel.imagine`."""
        cache, latents = self._model.step_cache(), []
        # strides that do not depend on where the state comes from or on H: others would be compiled for again
        state = tree_map_only(Tensor, Tensor.contiguous, state)
        for action in actions.unbind(1):
            drawn = noise(state.stoch[:, None], generators)
            latent, state = self._advance(state, action.contiguous(), cache, drawn)
            latents.append(latent)
        latent = Latent(*(torch.cat(parts, 1) for parts in zip(*latents, strict=True)))
        return latent, _copy(state)  # a graph goes on writing to its own


def check_compiler() -> None:
    """Raise the ValueError of a machine on which `torch.compile` cannot work on a CPU."""
    name = os.environ.get("CXX", "clang++" if sys.platform == "darwin" else "g++")
    mend = "install it, or imagine without compiling"
    if shutil.which(shlex.split(name)[0]) is None:
        raise ValueError(f"compiling for a CPU needs a C++ compiler, and {name!r} is not found: {mend}")
    header = Path(sysconfig.get_path("include"), "Python.h")
    if not header.exists():
        raise ValueError(f"compiling for a CPU needs Python's headers, and {header} does not exist: {mend}")


class _Inputs(NamedTuple):
    """What a step is given."""

    state: State
    action: Tensor  # (B A)
    cache: StepCache
    exponential: Tensor  # (B 1 K V)


class GraphedSteps:
    """`advance` as CUDA graphs. The state that it returns is overwritten by the next call, to which it may be given."""

    def __init__(self, model: LatentWorldModel) -> None:
        self._model = model
        self._captured: dict[tuple[int, torch.dtype | None], _Captured] = {}

    def __call__(self, state: State, action: Tensor, cache: StepCache, exponential: Tensor) -> tuple[Latent, State]:
        given = _Inputs(state, action, cache, exponential)
        key = len(action), torch.get_autocast_dtype("cuda") if torch.is_autocast_enabled("cuda") else None
        if key not in self._captured:
            self._captured[key] = _Captured(self._model, given)
        return self._captured[key].replay(given)


class _Captured:
    """One step as a CUDA graph, on buffers of its own."""

    def __init__(self, model: LatentWorldModel, given: _Inputs) -> None:
        self._inputs = _copy(given)
        aside = torch.cuda.Stream()
        aside.wait_stream(torch.cuda.current_stream())
        # autocast would keep its copies of the weights beyond the capture, in memory that belongs to the graph
        with torch.autocast("cuda", enabled=torch.is_autocast_enabled("cuda"), cache_enabled=False):
            with torch.cuda.stream(aside):
                for _ in range(WARM_UP):
                    model.advance(*self._inputs)
            torch.cuda.current_stream().wait_stream(aside)
            self._graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(self._graph):
                self._latent, after = model.advance(*self._inputs)
                _fill(self._inputs.state, after)

    def replay(self, given: _Inputs) -> tuple[Latent, State]:
        """Take one step. A state of its own is where it should be already: then a rollout goes on."""
        _fill((self._inputs.action, self._inputs.exponential), (given.action, given.exponential))
        if given.state is not self._inputs.state:
            _fill((self._inputs.state, self._inputs.cache), (given.state, given.cache))
        self._graph.replay()
        return _copy(self._latent), self._inputs.state


def _copy(tree: T) -> T:
    return tree_map_only(Tensor, torch.clone, tree)


def _fill(buffers: object, values: object) -> None:
    """Write the tensors of a pytree into those of another one."""
    for buffer, value in zip(tree_leaves(buffers), tree_leaves(values), strict=True):
        if isinstance(buffer, Tensor) and buffer is not value:
            buffer.copy_(value)
