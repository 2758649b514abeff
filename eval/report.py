"""The report: one HTML file that holds everything it shows, curves and films included, and fetches nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any, NamedTuple

from ..datasets.episode import IMAGE
from . import page, reel
from .charts import Chart
from .evaluation import Evaluation
from .examined import Examined
from .film import Film
from .findings import Finding, Verdict, findings, number, percent
from .results import UNITS, kind, padded_frames
from .table import remark, tables

COLOURS = {Verdict.LEARNED: "good", Verdict.PARTLY: "part", Verdict.NOT: "bad", Verdict.OPEN: "open"}
LARGEST = 10_000_000  # bytes of a page; films that it would be larger with are left out
HEADING = 500  # bytes of what stands around the films
LOSSY = " Its pictures are compressed with loss, which is part of |error|; the squared error in figures has none of it."
OWN = ("checkpoint", "config")  # what an origin says of its run alone


class Shown(NamedTuple):
    """What the report shows besides the figures."""

    charts: Sequence[Chart]
    films: Sequence[Film]
    pictures: Mapping[str, Path]  # {caption: PNG file}, in the order in which they are shown
    notes: Sequence[str]  # further remarks


def report(examined: Sequence[Examined], shown: Shown) -> str:
    """Return the report's HTML on runs that were examined on the same episodes."""
    first, alone = examined[0], len(examined) == 1
    title = f"What {first.name} remembers" if alone else f"What {len(examined)} world models remember"
    said = [
        "<h2>What was learned and what was not</h2>",
        *(part for run in examined for part in _findings(run, alone)),
    ]
    figures = [
        "<h2>Figures and floors</h2>",
        *map(page.table, tables(examined)),
        page.note(_explanation(first.evaluation)),
        page.note(remark(examined)),
        *map(page.note, shown.notes),
    ]
    above = [
        f"<h1>{escape(title)}</h1>",
        page.note(_subject(first.evaluation, first.origin)),
        *([_cards(first.evaluation), *said, *figures] if alone else [*figures, *said]),  # several: compared first
        "<h2>Curves</h2>",
        *map(page.chart, shown.charts),
        page.block("charts", [page.chart_data(chart) for chart in shown.charts]),
    ]
    below = [
        "<h2>Pictures</h2>",
        *(page.picture(caption, path) for caption, path in shown.pictures.items()),
        "<h2>Where these figures come from</h2>",
        page.definitions({key: value for key, value in first.origin.items() if key not in OWN}),
        *(part for run in examined for part in _origin(run)),
    ]
    room = LARGEST - HEADING - len(page.document(title, [*above, *below]).encode())
    return page.document(title, [*above, *_films(shown.films, room), *below])


def _subject(evaluation: Evaluation, provenance: Mapping[str, Any]) -> str:
    layout, most = evaluation.layout, "up to " if evaluation.layout.varied else ""
    observed = "frames" if kind(layout) == IMAGE else "vectors"
    return (
        f"{len(evaluation.indices)} episodes of the {provenance['settings']['split']} split of "
        f"{Path(provenance['data']).name}: {most}{layout.context} steps shown, {most}{layout.query} steps imagined "
        f"from their actions alone, {observed} of {' x '.join(map(str, layout.obs))}. {provenance['date']}."
    )


def _cards(evaluation: Evaluation) -> str:
    model, copy = evaluation.generation.every.mse, evaluation.copy_last.every.mse
    against = f"{percent(model / copy)} of copying the last frame ({number(copy)})" if copy else "copying is exact here"
    imagined, inferred = evaluation.imagined_reward, evaluation.inferred_reward
    cards = [
        ("generation MSE", number(model), against),
        ("reconstruction MSE", number(evaluation.reconstruction.every.from_second), "seeing every frame"),
    ]
    if imagined.majority < 1:  # else there is nothing to tell
        told = {"in imagination": imagined, "by inference": inferred}
        cards += [
            (f"reward {how}", percent(found.interval.value), f"majority class {percent(found.majority)}")
            for how, found in told.items()
        ]
    boxes = (f'<div class="card"><span>{n}</span><b>{v}</b><span>{escape(s)}</span></div>' for n, v, s in cards)
    return f'<div class="cards">{"".join(boxes)}</div>'


def _findings(run: Examined, alone: bool) -> list[str]:
    return [*([] if alone else [f"<h3>{escape(run.name)}</h3>"]), *map(_finding, findings(run.evaluation))]


def _finding(finding: Finding) -> str:
    head = f"<p><b>{escape(finding.topic)}: {finding.verdict.value}.</b></p>"
    return f'<div class="finding {COLOURS[finding.verdict]}">{head}<p>{escape(finding.text)}</p></div>'


def _explanation(evaluation: Evaluation) -> str:
    text = (
        f"Unit of the MSE: {UNITS[kind(evaluation.layout)]}; mean over steps and episodes. "
        "Generation: the query, imagined from the context and the actions. Reconstruction: the posterior, over the "
        "whole sequence from the second step on, because some objectives do not teach the first; one row counts it "
        "too. The floors see what the model sees and are scored on the same episodes; the mean is that of the whole "
        "context. Reward: the last step only, decoded mean above 0.5, with Wilson's 95 % interval over the episodes; "
        "the majority class is that of these episodes."
    )
    if evaluation.layout.varied:
        text += " The episodes are not all as long: curves are means over those that are long enough."
    if padded := padded_frames(evaluation):
        text += f" {padded} of the frames only fill their episode up; the figures without them stand beside."
    if evaluation.teleported:
        text += (
            f" {evaluation.teleported} episodes start their query from an earlier pose that the model is not told, so "
            "no model can be exact on them."
        )
    return text


def _films(films: Sequence[Film], room: int) -> list[str]:
    """Return the films' places and their data, as many as there is room for in bytes, and say which are left out."""
    places, blocks, left_out = [], [], []
    for film in films:
        content = reel.as_dict(film)
        caption = (
            f"Episode {film.episode}: the end of the context, and the whole query.{'' if content['exact'] else LOSSY}"
        )
        place = page.film(film.episode, caption)
        size = len(place) + len(page.block("films", content))
        if size > room:
            left_out.append(str(film.episode))
            continue
        room -= size
        blocks.append(content)
        places.append(place)
    if left_out:
        limit = f"the page would be larger than {LARGEST / 1e6:g} MB"
        places.append(page.note(f"Left out, because {limit}: films of the episodes {', '.join(left_out)}."))
    return ["<h2>Films</h2>", *places, page.block("films", blocks)] if places else []


def _origin(run: Examined) -> list[str]:
    step = run.origin["config"].get("step")
    trained = f"Trained for {step:,} steps. " if isinstance(step, int) else ""
    return [
        f"<h3>{escape(run.name)}</h3>",
        page.note(f"{trained}Checkpoint: {run.origin['checkpoint']}"),
        page.details("configuration of the run", run.origin["config"]),
    ]
