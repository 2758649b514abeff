"""The report: one HTML file that holds everything it shows, pictures included, and fetches nothing."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from html import escape
from pathlib import Path
from typing import Any

from .evaluation import Evaluation
from .findings import Finding, Verdict, findings, number, percent
from .losses import run_folder
from .results import UNIT, padded_frames
from .table import Table, tables

COLOURS = {Verdict.LEARNED: "good", Verdict.PARTLY: "part", Verdict.NOT: "bad", Verdict.OPEN: "open"}
STYLE = """
body { font: 16px/1.55 system-ui, sans-serif; color: #222; background: #fff }
body { max-width: 60rem; margin: 2rem auto; padding: 0 1rem }
h1 { font-size: 1.6rem; margin-bottom: .2rem } h2 { font-size: 1.15rem; margin: 2.2rem 0 .6rem }
.sub, figcaption { color: #666; font-size: .9rem } code { font-size: .85rem; overflow-wrap: anywhere }
.cards { display: flex; flex-wrap: wrap; gap: .8rem; margin: 1.2rem 0 }
.card { flex: 1 1 10rem; border: 1px solid #ddd; border-radius: .5rem; padding: .7rem .9rem }
.card b { display: block; font-size: 1.5rem; line-height: 1.3 } .card span { color: #666; font-size: .85rem }
table { border-collapse: collapse; margin: .6rem 0 1.2rem; width: 100%; font-variant-numeric: tabular-nums }
th, td { padding: .3rem .7rem; text-align: right; border-bottom: 1px solid #e6e6e6 }
th:first-child, td:first-child { text-align: left; white-space: pre }
.origin td { text-align: left; vertical-align: top }
.finding { border-left: .3rem solid; padding: .1rem .9rem; margin: .9rem 0 } .finding p { margin: .2rem 0 }
.good { border-color: #2a9d76 } .part { border-color: #d9b52b }
.bad { border-color: #c0392b } .open { border-color: #999 }
figure { margin: 1rem 0 } img { max-width: 100% }
pre { background: #f6f6f6; padding: .8rem; overflow: auto; font-size: .8rem }
"""


def report(
    evaluation: Evaluation, provenance: Mapping[str, Any], pictures: Mapping[str, Path], notes: list[str]
) -> str:
    """Return the report's HTML.

    Args:
        evaluation: what was measured.
        provenance: where it comes from.
        pictures: {caption: PNG file}, in the order in which they are shown.
        notes: further remarks on this evaluation.
    """
    name = run_folder(Path(provenance["checkpoint"])).resolve().name
    parts = [
        f"<h1>What {escape(name)} remembers</h1>",
        f'<p class="sub">{escape(_subject(evaluation, provenance))}</p>',
        _cards(evaluation),
        "<h2>What was learned and what was not</h2>",
        *map(_finding, findings(evaluation)),
        "<h2>Figures and floors</h2>",
        *map(_table, tables(evaluation)),
        f'<p class="sub">{escape(_explanation(evaluation))}</p>',
        *(f'<p class="sub">{escape(note)}</p>' for note in notes),
        "<h2>Pictures</h2>",
        *(_picture(caption, path) for caption, path in pictures.items()),
        "<h2>Where these figures come from</h2>",
        _provenance(provenance),
    ]
    head = f'<meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>{escape(name)}</title>'
    body = "\n".join(parts)
    return f'<!doctype html>\n<html lang="en"><head>{head}<style>{STYLE}</style></head><body>\n{body}\n</body></html>\n'


def _subject(evaluation: Evaluation, provenance: Mapping[str, Any]) -> str:
    layout, step = evaluation.layout, provenance["config"].get("step")
    trained = f" Trained for {step:,} steps." if isinstance(step, int) else ""
    return (
        f"{len(evaluation.indices)} episodes of the {provenance['settings']['split']} split of "
        f"{Path(provenance['data']).name}: {layout.context} steps shown, {layout.query} steps imagined from their "
        f"actions alone, frames of {' x '.join(map(str, layout.image))}. {provenance['date']}.{trained}"
    )


def _cards(evaluation: Evaluation) -> str:
    model, copy = evaluation.generation.every.mse, evaluation.copy_last.every.mse
    against = f"{percent(model / copy)} of copying the last frame ({number(copy)})" if copy else "copying is exact here"
    imagined, inferred = evaluation.imagined_reward, evaluation.inferred_reward
    cards = [
        ("generation MSE", number(model), against),
        ("reconstruction MSE", number(evaluation.reconstruction.every.from_second), "seeing every frame"),
        ("reward in imagination", percent(imagined.interval.value), f"majority class {percent(imagined.majority)}"),
        ("reward by inference", percent(inferred.interval.value), f"majority class {percent(inferred.majority)}"),
    ]
    boxes = (f'<div class="card"><span>{n}</span><b>{v}</b><span>{escape(s)}</span></div>' for n, v, s in cards)
    return f'<div class="cards">{"".join(boxes)}</div>'


def _finding(finding: Finding) -> str:
    head = f"<p><b>{escape(finding.topic)}: {finding.verdict.value}.</b></p>"
    return f'<div class="finding {COLOURS[finding.verdict]}">{head}<p>{escape(finding.text)}</p></div>'


def _table(table: Table) -> str:
    head = "".join(f"<th>{escape(cell)}</th>" for cell in table.header)
    rows = "".join(f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in row)}</tr>" for row in table.rows)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"


def _explanation(evaluation: Evaluation) -> str:
    text = (
        f"Unit of the MSE: {UNIT}; mean over steps and episodes. Generation: the query, imagined from the context and "
        "the actions. Reconstruction: the posterior, over the whole sequence from the second step on, because some "
        "objectives do not teach the first; one row counts it too. The floors see what the model sees and are "
        "scored on the same episodes; the mean is that of the whole context. Reward: the last step only, decoded "
        "mean above 0.5, with Wilson's 95 % interval over the episodes; the majority class is that of these episodes."
    )
    if padded := padded_frames(evaluation):
        text += f" {padded} of the frames only fill their episode up; the figures without them stand beside."
    if evaluation.teleported:
        text += (
            f" {evaluation.teleported} episodes start their query from an earlier pose that the model is not told, so "
            "no model can be exact on them."
        )
    return text


def _picture(caption: str, path: Path) -> str:
    data = base64.b64encode(path.read_bytes()).decode()
    alt = escape(caption, quote=True)
    return f'<figure><img alt="{alt}" src="data:image/png;base64,{data}"><figcaption>{alt}</figcaption></figure>'


def _provenance(provenance: Mapping[str, Any]) -> str:
    simple = {key: value for key, value in provenance.items() if key != "config"}
    rows = "".join(
        f"<tr><td>{escape(key)}</td><td><code>{_value(value)}</code></td></tr>" for key, value in simple.items()
    )
    config = escape(json.dumps(provenance["config"], indent=2, default=str))
    details = f"<details><summary>configuration of the run</summary><pre>{config}</pre></details>"
    return f'<table class="origin"><tbody>{rows}</tbody></table>{details}'


def _value(value: Any) -> str:
    if isinstance(value, Mapping):
        return "<br>".join(f"{escape(str(key))}: {escape(str(item))}" for key, item in value.items())
    return escape(str(value))
