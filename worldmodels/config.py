"""Configurations as JSON: frozen dataclasses out and back, with unknown fields and values refused.

A field that may hold one of several dataclasses (a union) carries the chosen one's name under "type".
"""

from __future__ import annotations

import dataclasses
import types
from pathlib import Path
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

T = TypeVar("T")
TYPE = "type"


def _choices(hint: Any) -> list[type]:
    """Return the dataclasses that a union hint offers, or nothing where the hint is no such union."""
    if get_origin(hint) not in (Union, types.UnionType):
        return []
    return [choice for choice in get_args(hint) if isinstance(choice, type) and dataclasses.is_dataclass(choice)]


def to_dict(config: Any) -> dict[str, Any]:
    """Return a dataclass as nested dictionaries that JSON can hold."""
    hints = get_type_hints(type(config))
    return {f.name: _plain(getattr(config, f.name), hints[f.name]) for f in dataclasses.fields(config)}


def _plain(value: Any, hint: Any) -> Any:
    if dataclasses.is_dataclass(value):
        tag = {TYPE: type(value).__name__} if _choices(hint) else {}
        return tag | to_dict(value)
    return str(value) if isinstance(value, Path) else value


def from_dict(cls: type[T], values: dict[str, Any], where: str = "") -> T:
    """Build a dataclass from `to_dict`'s output; missing fields keep their defaults.

    Raises:
        ValueError: a field is unknown (the message names it and the known ones) or a required one is missing.
    """
    hints = get_type_hints(cls)
    unknown = set(values) - set(hints)
    if unknown:
        raise ValueError(f"unknown field {where}{min(unknown)!r} for {cls.__name__}; it has {', '.join(hints)}")
    built = {name: _build(hints[name], value, f"{where}{name}.") for name, value in values.items()}
    try:
        return cls(**built)
    except TypeError as error:
        raise ValueError(f"{cls.__name__}: {error}") from error


def _build(hint: Any, value: Any, where: str) -> Any:
    if choices := _choices(hint):
        by_name = {choice.__name__: choice for choice in choices}
        rest = {name: part for name, part in value.items() if name != TYPE}
        if value.get(TYPE) not in by_name:
            raise ValueError(f"{where}{TYPE} is {value.get(TYPE)!r}; it must be one of {', '.join(by_name)}")
        return from_dict(by_name[value[TYPE]], rest, where)
    if dataclasses.is_dataclass(hint):
        return from_dict(hint, value, where)  # type: ignore[arg-type]
    return Path(value) if hint is Path else value
