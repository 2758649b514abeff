"""The picture of a run: the return of its episodes over environment steps."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from ..eval.charts import run_colour
from ..eval.figures import STYLE, marker

NAMES = {"return": "return of an episode", "success": "share of successes"}


def draw_curve(lines: list[dict[str, Any]], title: str, path: Path) -> None:
    """Draw what metrics.jsonl holds of returns, and of successes where there are any; an older picture is replaced.

    Args:
        lines: of metrics.jsonl.
        title: of the picture.
        path: of the PNG.
    """
    terms = [name for name in NAMES if any(name in line for line in lines)]
    if not terms:
        return
    draft = path.with_name(f".{path.name}.part.png")
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(7.5, 0.6 + 2.8 * len(terms)), layout="constrained")
        for axes, name in zip(figure.subplots(len(terms), 1, squeeze=False).flat, terms, strict=True):
            for kind, label, width in (("train", "training, actions drawn", 0.9), ("evaluation", "evaluation", 1.8)):
                steps = [line["step"] for line in lines if line["kind"] == kind and name in line]
                values = [line[name] for line in lines if line["kind"] == kind and name in line]
                colour, dots = ("#9a9a9a", "") if kind == "train" else (run_colour(0), marker(len(steps)))
                axes.plot(steps, values, color=colour, linewidth=width, marker=dots, label=label)
            axes.set(xlabel="environment steps", ylabel=NAMES[name])
            axes.xaxis.set_major_locator(MaxNLocator(integer=True))
            axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
        figure.axes[0].set_title(title)
        figure.axes[0].legend()
        figure.savefig(draft)
    draft.replace(path)
