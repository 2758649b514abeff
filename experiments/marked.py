"""A section of a Markdown file that a command writes, between two marks: written again, it is replaced."""

from __future__ import annotations

import re
from pathlib import Path


def write_section(path: Path, name: str, text: str) -> None:
    """Put `text` into a file as the section `name`: in the place where it was, or at the end.

    Raises:
        ValueError: the file has one of the section's marks without the other, or twice.
    """
    begin, end = f"<!-- begin {name}: written by a command, not by hand -->", f"<!-- end {name} -->"
    before = path.read_text() if path.exists() else ""
    if (counts := (before.count(begin), before.count(end))) not in ((0, 0), (1, 1)):
        raise ValueError(
            f"{path} has {counts[0]} times {begin!r} and {counts[1]} times {end!r}: leave one of each, or none"
        )
    section = f"{begin}\n{text.strip()}\n{end}"
    if counts == (0, 0):
        whole = f"{before.rstrip()}\n\n{section}\n".lstrip()
    else:
        whole = re.sub(f"{re.escape(begin)}.*?{re.escape(end)}", lambda _: section, before, flags=re.DOTALL)
    part = path.with_name(f".{path.name}.part")
    part.write_text(whole)
    part.replace(path)
