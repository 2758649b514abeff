"""The progress bar of every command."""

from __future__ import annotations

import os
import sys
from typing import Any

from tqdm import tqdm

SELDOM = 30.0  # seconds between prints into a file: each is a line there, and nobody watches
OWN = "TQDM_MININTERVAL"  # of the environment: the user's own wish


def progress_bar(*arguments: Any, **options: Any) -> tqdm:
    """Return a bar on stderr, as `tqdm` takes it; printed seldom where that is no terminal."""
    if not sys.stderr.isatty() and OWN not in os.environ:
        options["mininterval"] = SELDOM
    return tqdm(*arguments, **options)
