"""A section of a Markdown file that a command writes, between two marks: written again, it is replaced."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple


class Marks(NamedTuple):
    """What stands around a section."""

    begin: str
    end: str


def marks(name: str) -> Marks:
    """Return the marks of a section."""
    return Marks(f"<!-- begin {name}: written by a command, not by hand -->", f"<!-- end {name} -->")


def check_section(path: Path, name: str) -> None:
    """See that a section can be written, before the work for it is done.

    Raises:
        ValueError: the file has one of the section's marks without the other, or twice, or in the wrong order; or there
            can be no such file.
    """
    if path.is_dir() or not path.absolute().parent.is_dir():
        raise ValueError(f"{path} can be no file: {'it is a folder' if path.is_dir() else 'its folder is not there'}")
    begin, end = marks(name)
    text = path.read_text() if path.exists() else ""
    if (counts := (text.count(begin), text.count(end))) not in ((0, 0), (1, 1)):
        raise ValueError(
            f"{path} has {counts[0]} times {begin!r} and {counts[1]} times {end!r}: leave one of each, or none"
        )
    if text.find(end) < text.find(begin):
        raise ValueError(f"{path} has {end!r} before {begin!r}: put them in order, or take both out")


def write_section(path: Path, name: str, text: str) -> None:
    """Put `text` into a file as the section `name`: in the place where it was, or at the end.

    Raises:
        ValueError: as `check_section`.
    """
    check_section(path, name)
    begin, end = marks(name)
    before = path.read_text() if path.exists() else ""
    section = f"{begin}\n{text.strip()}\n{end}"
    if begin not in before:
        whole = f"{before.rstrip()}\n\n{section}\n".lstrip()
    else:
        whole = before[: before.index(begin)] + section + before[before.index(end) + len(end) :]
    write_whole(path.resolve(), whole)


def write_whole(path: Path, text: str) -> None:
    """Write a file that is replaced at once: whoever reads it, or kills this process, finds the old text or the new."""
    part = path.with_name(f".{path.name}.part")
    part.write_text(text)
    part.replace(path)
