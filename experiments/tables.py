"""The tables and figures of the S4WM paper: what stands in their columns, and what their rows are called in print."""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

Keys = tuple[str | int, ...]  # keys on the way to a figure in results.json
Kind = Literal["error", "share"]


class Floor(NamedTuple):
    """What scores without remembering: the least that a model has to beat."""

    name: str
    path: Keys


class Metric(NamedTuple):
    """A column."""

    name: str
    kind: Kind  # a squared error, the lower the better; or a share in [0, 1], the higher the better
    path: Keys
    floors: tuple[Floor, ...] = ()
    print: str | None = None  # the field of a row in print (eval/papers.py) that is the same; None: there is none


class Table(NamedTuple):
    """A table, or a figure."""

    title: str
    metrics: tuple[Metric, ...]
    models: tuple[str, ...]  # the rows, by their names in the files of scales
    headline: str  # the metric that the picture shows
    note: str = ""  # on what the columns are
    floors_in_print: tuple[str, ...] = ()  # rows of the paper's table that are no model


LABELS = {  # as the paper calls its rows
    "rssm": "RSSM-TBTT",
    "tssm-xl": "TSSM-XL",
    "tssm-xl-256": "TSSM-XL (m = 256)",
    "tssm-xl-512": "TSSM-XL (m = 512)",
    "s4wm": "S4WM",
    "s4wm-full-posterior": "S4WM-Full-Posterior",
    "s4wm-no-mlp": "S4WM-No-MLP",
}
FAMILIES = ("rssm", "tssm-xl", "s4wm")

RECONSTRUCTION = Metric(
    "reconstruction MSE", "error", ("errors", "reconstruction", "mse_from_second_step"), print="reconstruction"
)
GENERATION = Metric(
    "generation MSE",
    "error",
    ("errors", "generation", "mse"),
    (
        Floor("copy last frame", ("errors", "copy_last", "mse")),
        Floor("mean context frame", ("errors", "mean_context", "mse")),
    ),
    print="generation",
)
MAJORITY = (Floor("majority class", ("reward", "majority_class")), Floor("chance", ("reward", "chance")))
INFERENCE = Metric(
    "reward by inference", "share", ("reward", "inference", "accuracy"), MAJORITY, print="inference"
)  # fmt: skip
IMAGINATION = Metric(
    "reward in imagination", "share", ("reward", "imagination", "accuracy"), MAJORITY, print="imagination"
)
SQUARES = "Squared errors are summed over the pixels of a frame in [0, 1]."
ERRORS = f"{SQUARES} Reconstruction sees every frame (from the second on), generation the context only."


def _recall(name: str, place: int) -> Metric:
    """Return the error of what is imagined after the teleport; `place` counts the numbers of frames shown."""
    floors = (("copy last frame", "copy_last"), ("mean frame", "mean_context"))
    return Metric(
        name,
        "error",
        ("recall", "model", "rest", place, "value"),
        tuple(Floor(label, ("recall", row, "rest", place, "value")) for label, row in floors),
    )


def _probed(task: str, kind: Kind) -> Metric:
    """Return the score of a probe over the second half of a trajectory."""
    path = ("tasks", task, "rows")
    floor = Floor("constant answer", (*path, "constant", "query", "value"))
    return Metric(task, kind, (*path, "probe", "query", "value"), (floor,), print=task)


TABLES: dict[str, Table] = {
    "table1": Table("Long-term imagination", (RECONSTRUCTION, GENERATION), FAMILIES, GENERATION.name, ERRORS),
    "table2": Table(
        "Reward prediction, Distracting Memory",
        (INFERENCE, IMAGINATION),
        FAMILIES,
        IMAGINATION.name,
        "Accuracy of the last reward: by inference the model sees every frame, in imagination the context only.",
    ),
    "table3": Table(
        "Memory-based reasoning, Multi Doors Keys", (RECONSTRUCTION, GENERATION), FAMILIES, GENERATION.name, ERRORS
    ),
    "table4": Table(
        "Alternative S4WM architectures, long-term imagination",
        (RECONSTRUCTION, GENERATION),
        ("s4wm", "s4wm-full-posterior", "s4wm-no-mlp"),
        GENERATION.name,
        ERRORS,
    ),
    "table5": Table(
        "TSSM-XL with different cache lengths m, long-term imagination",
        (RECONSTRUCTION, GENERATION),
        ("tssm-xl", "tssm-xl-256", "tssm-xl-512"),
        GENERATION.name,
        ERRORS,
    ),
    "table6": Table(
        "Offline probing, Memory Maze",
        (_probed("walls", "share"), _probed("objects", "error")),
        FAMILIES,
        "walls",
        "Second half of the trajectories. Walls: share of cells told right; objects: squared error in cells.",
        ("constant",),
    ),
    "figure6": Table(
        "Context-dependent recall after a teleport",
        (_recall("MSE, nothing shown after it", 0), _recall("MSE, most frames shown after it", -1)),
        FAMILIES,
        "MSE, nothing shown after it",
        f"{SQUARES} After the teleport 0 to 20 frames are shown, and the rest is imagined.",
    ),
}
SPEED = "figure3"  # of models that have not been trained: experiments/speed.py
NAMES = (*TABLES, SPEED)


def figure(found: dict[str, Any], path: Keys) -> float | None:
    """Return a figure of results.json; None where the data or the model do not have it."""
    value: Any = found
    for key in path:
        if value is None or (isinstance(key, str) and key not in value):
            return None
        value = value[key]
    return value
