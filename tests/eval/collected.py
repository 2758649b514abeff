"""Real episodes of our environments in memory, for tests of the evaluation."""

from __future__ import annotations

import dataclasses
from typing import Any

from longdream.collectors.catalogue import ENVIRONMENTS
from longdream.tests.eval.eval_stubs import MemorySource


def collected(name: str, count: int, **options: Any) -> MemorySource:
    """Return the first episodes of an environment."""
    environment = ENVIRONMENTS[name]
    assert environment.fast is not None
    source = MemorySource(0)
    chosen = dataclasses.replace(environment.options, **options)
    source.episodes = [environment.fast(chosen, seed) for seed in range(count)]
    source.indices = list(range(count))
    return source
