"""Ways to make and drive the environments of the catalogue."""

from functools import lru_cache

import numpy as np

from longdream.dreamer.environments.catalogue import ONLINE
from longdream.dreamer.environments.environment import make_online


def made(name, options=None):
    """Make an environment of the catalogue."""
    entry = ONLINE[name]
    options = entry.options if options is None else options
    return make_online(entry.make, options, entry.max_steps(options))


@lru_cache
def available(name):
    """Say whether what an environment needs is installed."""
    try:
        made(name).close()
    except ValueError as error:
        if "pip install" not in str(error) and "OpenGL" not in str(error):
            raise
        return False
    return True


def random_actions(envs, rng):
    """Return actions of every row, (N A) float32."""
    if envs.discrete:
        return np.eye(envs.actions, dtype=np.float32)[rng.integers(envs.actions, size=envs.count)]
    return rng.uniform(-1, 1, (envs.count, envs.actions)).astype(np.float32)
