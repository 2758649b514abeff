"""What a table leaves behind: table.md, table.csv, pictures, provenance.json, and a section of RESULTS.md."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from ..eval.findings import percent
from ..eval.papers import RECALL
from ..provenance import provenance
from ..worldmodels.train_config import RUN_CONFIG
from .curves import Panel, save_panels
from .marked import write_section, write_whole
from .plan import SweepConfig
from .progress import LOGS, read_json
from .scales import Scale, label
from .standing import Standing, standings
from .summary import panel, rows
from .table_lines import Line, lines, markdown, write_csv
from .table_picture import colour, save_picture
from .tables import TABLES, Table

PICTURE, STEPS_PICTURE = "figure.png", "per_step.png"


class Order(NamedTuple):
    """What was asked for."""

    table: str  # its name
    scale_name: str
    scale: Scale
    config: SweepConfig
    out: Path
    command: str
    results_md: Path | None = None


def write_table(order: Order) -> list[Standing]:
    """Write everything, of what is there by now; return where the models stand."""
    table, found = TABLES[order.table], standings(order.config)
    order.out.mkdir(parents=True, exist_ok=True)
    written = lines(order.scale, order.table, table, found)
    pictures = save_pictures(order, table, written)
    record = _record(order, found)
    write_whole(order.out / "provenance.json", json.dumps(record, indent=2) + "\n")
    write_csv(order.out / "table.csv", table, written)
    body = text(order, table, found, written, record)
    whole = "\n".join([f"# {heading(order, table)}", "", *body, *links(pictures, order.out)])
    write_whole(order.out / "table.md", whole)
    if order.results_md is not None:
        section = [f"## {heading(order, table)}", "", *body, *links(pictures, order.results_md.parent)]
        write_section(order.results_md, f"{order.table} {order.scale_name}", "\n".join(section))
    return found


def heading(order: Order, table: Table) -> str:
    """Return the table's heading."""
    number = order.table.replace("table", "Table ").replace("figure", "Figure ")
    return f"{number} of the S4WM paper: {table.title} (scale: {order.scale_name})"


def text(order: Order, table: Table, found: Sequence[Standing], written: Sequence[Line], record: Any) -> list[str]:
    """Return what stands below the heading."""
    commits = ", ".join(commit[:7] + commit[40:] for commit in record["trained with"]) or "none yet"
    return [
        f"    {order.command}",
        "",
        f"{state(found)} Scale: {order.scale.about}. Seeds {', '.join(map(str, order.config.seeds))}; mean ± standard",
        "deviation over the seeds that are there, of each run's best checkpoint by validation loss.",
        f"{_machines(record)}; runs begun with commit {commits}{_reduced(record)}.",
        "",
        f"{table.note} Not comparable with the paper: {order.scale.not_comparable}.",
        "",
        *markdown(order.scale, table, written),
        *_failures(found),
        *(
            [" ".join(["The paper has no figures in print, but says:", *RECALL]), ""]
            if order.table == "figure6"
            else []
        ),
    ]


def _machines(record: dict[str, Any]) -> str:
    """Name the machines that trained, or this one where none has yet."""
    each = [run["hardware"] for run in record["runs"].values()] or [record["hardware"]]
    return " and ".join(dict.fromkeys(", ".join([machine["processor"], *machine["gpus"]]) for machine in each))


def _reduced(record: dict[str, Any]) -> str:
    """Name the runs that were not trained in float32."""
    names = [name for name, run in record["runs"].items() if run["precision"] != "no"]
    return f"; in bf16 autocast: {', '.join(names)}" if names else ""


def state(found: Sequence[Standing]) -> str:
    """Say whether the table is complete, and if not how much of it is there."""
    planned = sum(len(each.runs) for each in found)
    done = sum(len(each.results) for each in found if each.share == 1)
    if done == planned:
        return f"**Complete**: {done} of {planned} runs are through all their steps."
    trained = sum(each.trained for each in found) / sum(each.steps * len(each.runs) for each in found)
    return (
        f"**Partial**: {done} of {planned} runs are through all their steps and measured, {percent(trained)} of all "
        "steps are trained. Rows of a data set are at the same share of their steps."
    )


def _failures(found: Iterable[Standing]) -> list[str]:
    failed = [f"* {each.data}, {each.model}, seed {seed}: {why}" for each in found for seed, why in each.failed.items()]
    return ["Failed when they were last tried:", "", *failed, ""] if failed else []


def save_pictures(order: Order, table: Table, written: Sequence[Line]) -> list[Path]:
    """Draw the pictures, as far as there are figures for them; return those that are there."""
    save_picture(order.config, table, written, order.out / PICTURE)
    if table.headline == "generation MSE":
        finished = rows(order.config, "equal steps")
        panels = [_labelled(panel(data, "all steps", finished)) for data in order.config.data]
        colours = {label(model): colour(model) for model in order.config.models}
        save_panels([shown for shown in panels if shown.curves], order.out / STEPS_PICTURE, colours)
    return [path for name in (PICTURE, STEPS_PICTURE) if (path := order.out / name).exists()]


def _labelled(found: Panel) -> Panel:
    return found._replace(curves={label(model): curve for model, curve in found.curves.items()})


def links(pictures: Sequence[Path], folder: Path) -> list[str]:
    """Return the pictures as Markdown in a file of a folder."""
    names = {PICTURE: "Over training", STEPS_PICTURE: "Error of each imagined step"}
    return [f"![{names[path.name]}]({os.path.relpath(path, folder)})\n" for path in pictures]


def _record(order: Order, found: Sequence[Standing]) -> dict[str, Any]:
    """Return where the table comes from."""
    runs = {
        run.name: _run_record(run.folder) for each in found for run in each.runs if (run.folder / RUN_CONFIG).exists()
    }
    data = {name: str(part.path) for name, part in order.config.data.items()}
    return provenance() | {
        "table": order.table,
        "scale": order.scale_name,
        "seeds": order.config.seeds,
        "data": data,
        "trained with": list(dict.fromkeys(run["commit"] for run in runs.values())),
        "runs": runs,
        "commands": commands(order.config),
    }


def _run_record(folder: Path) -> dict[str, Any]:
    found = read_json(folder / RUN_CONFIG, f"remove {folder}, and the run begins anew")
    kept = {key: found["provenance"][key] for key in ("commit", "date", "data_hash", "hardware")}
    return kept | {"precision": found["train"]["precision"]}


def commands(config: SweepConfig) -> list[str]:
    """Return the commands of a table that were run, from the logs of its data sets and runs."""
    names = [*config.data, *(f"{run.data}-{run.model}-{run.seed}" for run in config.runs())]
    logs = [config.out / LOGS / f"{name}.log" for name in names]
    found = [log.read_text(errors="replace").splitlines() for log in logs if log.exists()]
    return [line.removeprefix("$ ") for log in found for line in log if line.startswith("$ ")]
