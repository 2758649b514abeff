"""The configuration of an online run, as a config.json holds it: that of the run, and those of its checkpoints."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from ..worldmodels.config import TYPE, from_dict
from .config import DreamerConfig
from .environments.catalogue import find_online

KEY = "dreamer"  # under which the configuration stands there


def read_config(path: Path) -> DreamerConfig:
    """Return the configuration that a config.json holds.

    Raises:
        ValueError: there is none at `path`, or it is not of an online run.
    """
    try:
        return as_config(json.loads(path.read_text()), path)
    except FileNotFoundError:
        raise ValueError(f"there is no {path}") from None
    except (json.JSONDecodeError, OSError) as error:
        raise _of_something_else(path, error) from None


def as_config(content: dict[str, Any], path: Path) -> DreamerConfig:
    """Return the configuration that the content of a config.json says; `path` is for the message.

    Raises:
        ValueError: it is not of an online run, or of another version's fields.
    """
    try:
        values = content[KEY]
        options = {name: value for name, value in values["options"].items() if name != TYPE}
    except (KeyError, TypeError) as error:
        raise _of_something_else(path, error) from None
    found = from_dict(DreamerConfig, {name: value for name, value in values.items() if name != "options"})
    return replace(found, options=from_dict(type(find_online(found.env).options), options))


def _of_something_else(path: Path, error: Exception) -> ValueError:
    return ValueError(f"{path} is not of an online run ({error!r}): choose another folder")
