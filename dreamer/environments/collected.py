"""The environments of `collect`, acted in freely."""

from __future__ import annotations

from typing import Any

import gymnasium


def make_collected(name: str, **options: Any) -> gymnasium.Env:
    """Return the environment that `collect --env NAME` steps through, with its fields of options.

    Raises:
        ValueError: if an option is out of range.
    """
    from ...collectors.catalogue import ENVIRONMENTS  # imports every family: only the processes that step one need it
    from ...collectors.rollout import make

    environment = ENVIRONMENTS[name]
    return make(environment, type(environment.options)(**options))
