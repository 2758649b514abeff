"""The picture of imagined vectors: the features that change most, the truth and what each model makes of it.

Axes: T time, F features.
"""

from __future__ import annotations

from pathlib import Path

import matplotlib
import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from .charts import run_colour
from .figures import STYLE
from .film import Film

PANELS = 8  # features that are drawn
QUERY = "#f48c28"  # the colour of the query, as in the contact sheets of data sets


def save_vectors(film: Film, path: Path) -> None:
    """Draw an episode of vectors beside what models make of it.

    Args:
        film: of vectors.
        path: the PNG.
    """
    changing = np.argsort(-film.truth.std(0), kind="stable")[:PANELS]
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(8, 0.6 + 1.1 * len(changing)), layout="constrained")
        panels = figure.subplots(len(changing), 1, squeeze=False, sharex=True)[:, 0]
        for axes, feature in zip(panels, sorted(changing.tolist()), strict=True):
            axes.plot(film.truth[:, feature], color="black", label="truth")
            for place, take in enumerate(film.takes):
                axes.plot(take.frames[:, feature], color=run_colour(place), linewidth=1.2, label=take.name)
            axes.axvline(film.context - 0.5, color=QUERY)
            axes.set_ylabel(f"feature {feature}")
        panels[-1].set_xlabel("step")
        panels[-1].xaxis.set_major_locator(MaxNLocator(integer=True))
        figure.legend(*panels[0].get_legend_handles_labels(), loc="outside upper center", ncols=4)
        figure.savefig(path)
