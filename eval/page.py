"""Pieces of the report's page: text, tables that sort, pictures, and the data of its charts and films.

Whatever comes from outside is escaped, in HTML and in the JSON that the page's script reads.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

from .charts import Chart
from .results import definite
from .table import Table

HERE = Path(__file__).parent


def document(title: str, parts: Sequence[str]) -> str:
    """Return a whole page; it fetches nothing."""
    style, script = ((HERE / f"report.{kind}").read_text(encoding="utf-8") for kind in ("css", "js"))
    head = (
        '<meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>\n{style}</style>"
    )
    body = "\n".join(parts)
    content = f"{body}\n<script>\n{script}</script>"
    return f'<!doctype html>\n<html lang="en"><head>{head}</head><body>\n{content}\n</body></html>\n'


def note(text: str) -> str:
    """Return a paragraph in small print."""
    return f'<p class="sub">{escape(text)}</p>'


def block(name: str, content: Any) -> str:
    """Return data for the page's script; no text in it can end the block."""
    text = json.dumps(definite(content), allow_nan=False, separators=(",", ":")).replace("<", "\\u003c")
    return f'<script type="application/json" id="{name}">{text}</script>'


def table(content: Table) -> str:
    """Return a table whose rows a click on a header sorts."""
    titles = (content.title, *content.header)
    head = "".join(f'<th aria-sort="none"><button type="button">{escape(cell)}</button></th>' for cell in titles)
    rows = "".join(
        f'<tr class="{row.kind.value}"><td>{"</td><td>".join(map(escape, (row.label, *row.cells)))}</td></tr>'
        for row in content.rows
    )
    return (
        f'<div class="wide"><table class="sortable"><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div>'
    )


def picture(caption: str, path: Path) -> str:
    """Return a PNG with its caption."""
    data = base64.b64encode(path.read_bytes()).decode()
    alt = escape(caption, quote=True)
    return f'<figure><img alt="{alt}" src="data:image/png;base64,{data}"><figcaption>{alt}</figcaption></figure>'


def chart(content: Chart) -> str:
    """Return the place of a chart; the script draws it."""
    without = f"<noscript>The curves are in {content.key}.png, beside this page.</noscript>"
    return (
        f'<figure class="chart" id="chart-{content.key}">{without}<figcaption>{escape(content.caption)}</figcaption>'
        "</figure>"
    )


def chart_data(content: Chart) -> dict[str, Any]:
    """Return a chart as the page's script reads it."""
    return {
        "key": content.key,
        "x": content.x,
        "across": content.across,
        "up": content.up,
        "log": content.log,
        "lines": [line._asdict() | {"values": [float(f"{v:.5g}") for v in line.values]} for line in content.lines],
        "levels": [level._asdict() for level in content.levels],
    }


def film(episode: int, caption: str) -> str:
    """Return the place of a film; the script shows it."""
    without = "<noscript>`longdream imagine` makes a film that needs no script.</noscript>"
    return f'<figure class="film" id="film-{episode}">{without}<figcaption>{escape(caption)}</figcaption></figure>'


def definitions(content: Mapping[str, Any]) -> str:
    """Return names and values as a table."""
    rows = "".join(
        f"<tr><td>{escape(key)}</td><td><code>{_value(value)}</code></td></tr>" for key, value in content.items()
    )
    return f'<table class="origin"><tbody>{rows}</tbody></table>'


def details(summary: str, content: Any) -> str:
    """Return JSON that is folded away."""
    text = escape(json.dumps(content, indent=2, default=str))
    return f"<details><summary>{escape(summary)}</summary><pre>{text}</pre></details>"


def _value(value: Any) -> str:
    if isinstance(value, Mapping):
        return "<br>".join(f"{escape(str(key))}: {escape(str(item))}" for key, item in value.items())
    return escape(str(value))
