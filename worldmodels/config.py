"""Configurations as JSON: frozen dataclasses out and back, with unknown fields and values refused.

A nested dataclass carries its name under "type": a field may hold one of several (a union), or may come to.
"""

from __future__ import annotations

import dataclasses
import types
from pathlib import Path
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

T = TypeVar("T")
TYPE = "type"


def _choices(hint: Any) -> list[type]:
    """Return the dataclasses that a hint allows: itself, or the members of a union."""
    offered = get_args(hint) if get_origin(hint) in (Union, types.UnionType) else (hint,)
    return [choice for choice in offered if isinstance(choice, type) and dataclasses.is_dataclass(choice)]


def to_dict(config: Any) -> dict[str, Any]:
    """Return a dataclass as nested dictionaries that JSON can hold."""
    return {f.name: _plain(getattr(config, f.name)) for f in dataclasses.fields(config)}


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value):
        return {TYPE: type(value).__name__} | to_dict(value)
    return str(value) if isinstance(value, Path) else value


def from_dict(cls: type[T], values: dict[str, Any], where: str = "") -> T:
    """Build a dataclass from `to_dict`'s output; missing fields keep their defaults.

    Raises:
        ValueError: a field is unknown (the message names it and the known ones), a required one is missing, or a value
            is none of those that the field's `Literal` lists.
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
    if value is None and type(None) in get_args(hint):
        return None
    if choices := _choices(hint):
        by_name = {choice.__name__: choice for choice in choices}
        rest = {name: part for name, part in value.items() if name != TYPE}
        if value.get(TYPE) not in by_name:
            raise ValueError(f"{where}{TYPE} is {value.get(TYPE)!r}; it must be one of {', '.join(by_name)}")
        return from_dict(by_name[value[TYPE]], rest, where)
    if get_origin(hint) is Literal and value not in get_args(hint):
        raise ValueError(f"{where[:-1]} is {value!r}; it must be one of {', '.join(map(repr, get_args(hint)))}")
    is_path = hint is Path or Path in get_args(hint)
    return Path(value) if is_path and value is not None else value
