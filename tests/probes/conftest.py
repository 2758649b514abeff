"""One small data set of every kind, collected when the first test asks for it."""

from __future__ import annotations

from functools import lru_cache

import pytest

from longdream.tests.probes.probe_toys import collected


@pytest.fixture(scope="session")
def data(tmp_path_factory: pytest.TempPathFactory):
    """Return a function: the data set of a kind."""
    root = tmp_path_factory.mktemp("probing")
    return lru_cache(lambda kind: collected(root / kind, kind))
