"""The report's page: it holds the very figures and frames, fetches nothing, is bounded, and works in a browser."""

from __future__ import annotations

import base64
import io
import json
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from longdream.eval import charts, report
from longdream.eval.charts import Chart
from longdream.eval.evaluation import evaluate
from longdream.eval.examined import Examined
from longdream.eval.figures import save_chart
from longdream.eval.film import Film, shoot
from longdream.eval.papers import Published, Task
from longdream.eval.reel import as_dict, sheet
from longdream.eval.report import Shown
from longdream.tests.browser import needs_chromium, visit
from longdream.tests.eval.eval_stubs import IMAGE, Blend, CopyLast, MeanContext, MemorySource
from longdream.worldmodels.base import WorldModel

PAPER = 7.25  # generation MSE of a row in print that is made up
TRICK = "</script><script>alert(1)</script>"
# A user who sorts by two columns, points at a curve, switches one off, and watches a film.
USER = """
addEventListener("load", async () => {
  const rows = () => [...document.querySelector("table.sortable").tBodies[0].rows].map((row) => row.cells[0].innerText);
  const heads = [...document.querySelectorAll("table.sortable")[0].tHead.rows[0].cells];
  const click = (column) => { heads[column].querySelector("button").click(); return rows(); };
  const notes = { rows: rows(), up: click(1), down: click(1), names: click(0), sorted: heads.map((h) => h.ariaSort) };
  heads[1].querySelector("button").focus();
  notes.focused = document.activeElement.innerText;

  const chart = document.querySelector(".chart"), svg = chart.querySelector("svg"), box = svg.getBoundingClientRect();
  const values = () => Object.fromEntries([...chart.querySelectorAll(".legend button")].map((button) =>
    [button.childNodes[1].textContent, button.querySelector("output").textContent]));
  svg.dispatchEvent(new PointerEvent("pointermove", { clientX: box.right - 1, clientY: box.top + 9 }));
  notes.last = values();
  svg.dispatchEvent(new KeyboardEvent("keydown", { key: "ArrowLeft" }));
  notes.before = values();
  notes.lines = chart.querySelectorAll("path.line").length;
  chart.querySelector(".legend button").click();
  notes.fewer = chart.querySelectorAll("path.line").length;
  notes.charts = document.querySelectorAll(".chart svg").length;

  const film = films[0], pixels = (canvas) => [...canvas.getContext("2d").getImageData(0, 0, 5, 6).data];
  await film.ready;
  const look = () => ({ state: film.state.textContent, pixels: [...film.place.querySelectorAll("canvas")].map(pixels),
    notes: [...film.place.querySelectorAll(".screens span")].map((note) => note.textContent) });
  notes.start = look();
  film.slider.value = 9;
  film.slider.dispatchEvent(new Event("input"));
  notes.ninth = look();
  film.button.click();
  await new Promise((later) => setTimeout(later, 1000));
  notes.end = { ...look(), button: film.button.textContent };
  tell(notes);
});
"""


def examined(name: str, model: WorldModel, source: MemorySource) -> Examined:
    origin = {
        "date": "2025-01-01",
        "data": "data/<toy>",
        "checkpoint": f"runs/{name}",
        "config": {"step": 1234, "note": TRICK},
        "environment": "toy",
        "options": {},
        "settings": {"split": "test", "seed": 3},
    }
    return Examined(name, evaluate(model, source, source.indices), origin)


@pytest.fixture(scope="module")
def runs() -> list[Examined]:
    source = MemorySource(6, posed=True)
    models = {"half": Blend(source.episodes, [0.5] * 4), "copy": CopyLast(), f"mean {TRICK}": MeanContext()}
    return [examined(name, model, source) for name, model in models.items()]


@pytest.fixture(scope="module")
def film() -> Film:
    source = MemorySource(1)
    models = {"half": Blend(source.episodes, [0.5] * 4), "copy": CopyLast(), f"mean {TRICK}": MeanContext()}
    return shoot(models, source, 0, 0, torch.device("cpu"))


@pytest.fixture
def drawn(runs: list[Examined], monkeypatch: pytest.MonkeyPatch) -> list[Chart]:
    task = Task(("toy",), {}, 7, 4, IMAGE)
    monkeypatch.setattr(charts, "published", lambda _: [Published("S4WM", task, "a table", PAPER, 1.0)])
    return charts.charts(runs)


def write(path: Path, runs: list[Examined], drawn: list[Chart], films: list[Film]) -> str:
    text = report.report(runs, Shown(drawn, films, {}, ["a note"]))
    path.write_text(text, encoding="utf-8")
    return text


def block(page: str, name: str) -> list[dict]:
    """Return the data of the page's script."""
    [found] = re.findall(rf'<script type="application/json" id="{name}">(.*?)</script>', page, re.DOTALL)
    return json.loads(found, parse_constant=pytest.fail)


def picture(uri: str) -> np.ndarray:
    kind, _, content = uri.partition(",")
    assert kind == "data:image/webp;base64"
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(content))).convert("RGB"))


def test_the_page_needs_nothing_else_and_no_text_can_end_its_data(
    tmp_path: Path, runs: list[Examined], drawn: list[Chart], film: Film
) -> None:
    page = write(tmp_path / "page.html", runs, drawn, [film])
    assert "alert(1)</script>" not in page
    assert block(page, "films")[0]["takes"][2]["name"] == f"mean {TRICK}"
    assert set(re.findall(r"https?://[^\"' ]*", page)) == {"http://www.w3.org/2000/svg"}  # a name, not an address
    assert not re.search(r"<link|<iframe|\bimport\b|fetch\(|url\(|src=", page)


def test_charts_are_the_figures_with_floors_oracle_and_the_papers(
    tmp_path: Path, runs: list[Examined], drawn: list[Chart]
) -> None:
    [chart] = block(write(tmp_path / "page.html", runs, drawn, []), "charts")
    lines = {line["name"]: line for line in chart["lines"]}
    shared = runs[0].evaluation
    assert shared.nearest_pose is not None
    for name, curve in {
        "copy last frame (floor)": shared.copy_last.every.curve,
        "mean context frame (floor)": shared.mean_context.every.curve,
        "nearest pose": shared.nearest_pose.every.curve,
        "half, imagining": shared.generation.every.curve,
        "copy, imagining": shared.copy_last.every.curve,
    }.items():
        assert lines[name]["values"] == pytest.approx(list(curve), rel=1e-4, abs=1e-6), name
    assert len(lines["half, seeing the frames"]["values"]) == len(chart["x"]) == 4
    assert chart["levels"] == [{"name": "S4WM, the paper's", "value": PAPER}]
    assert len({line["colour"] for name, line in lines.items() if "seeing" not in name}) == 6


def test_sheets_hold_the_very_frames(film: Film, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("longdream.eval.reel.SHEET", 4 * IMAGE[1] + 1)
    found = as_dict(film)
    assert found["across"] == 4
    height, width, _ = IMAGE
    for uri, frames in [(found["sheet"], film.truth), (found["takes"][0]["sheet"], film.takes[0].frames)]:
        sheet_ = picture(uri)
        assert sheet_.shape == (3 * height, 4 * width, 3)
        for step, frame in enumerate(frames):
            top, left = step // 4 * height, step % 4 * width
            np.testing.assert_array_equal(sheet_[top : top + height, left : left + width], frame)


def test_a_sheet_of_a_megabyte_is_exact_and_a_larger_one_is_compressed_with_loss(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    frames = np.random.default_rng(0).integers(0, 256, (32, 102, 102, 3), dtype=np.uint8)
    whole = sheet(frames)
    assert whole.exact
    assert len(whole.uri) > 1_000_000
    np.testing.assert_array_equal(picture(whole.uri)[:102, :102], frames[0])
    monkeypatch.setattr("longdream.eval.reel.LOSSLESS", 1000)
    lossy = sheet(frames)
    assert not lossy.exact
    assert len(lossy.uri) < len(whole.uri) / 2
    assert picture(lossy.uri).shape == picture(whole.uri).shape


def test_the_page_says_where_a_film_is_compressed_with_loss(
    tmp_path: Path, runs: list[Examined], film: Film, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "with loss" not in write(tmp_path / "page.html", runs, [], [film])
    sizes = sorted(len(base64.b64decode(t["sheet"].partition(",")[2])) for t in as_dict(film)["takes"])
    monkeypatch.setattr("longdream.eval.reel.LOSSLESS", sizes[-1] - 1)  # one sheet is too large
    page = write(tmp_path / "page.html", runs, [], [film])
    assert "Its pictures are compressed with loss, which is part of |error|" in page


def test_the_page_is_bounded_and_says_what_is_left_out(
    tmp_path: Path, runs: list[Examined], film: Film, monkeypatch: pytest.MonkeyPatch
) -> None:
    films = [film._replace(episode=8), film._replace(episode=18)]
    whole = write(tmp_path / "page.html", runs, [], films)
    assert "Left out" not in whole
    assert [found["episode"] for found in block(whole, "films")] == [8, 18]
    monkeypatch.setattr(report, "LARGEST", len(whole.encode()) - 100)
    page = write(tmp_path / "page.html", runs, [], films)
    assert len(page.encode()) <= len(whole.encode()) - 100
    assert [found["episode"] for found in block(page, "films")] == [8]
    assert re.search(r"Left out, .*: films of the episodes 18\.", page)


def test_one_run_has_its_findings_first_and_several_their_figures(
    tmp_path: Path, runs: list[Examined], drawn: list[Chart]
) -> None:
    heads = ("<h2>What was learned", "<h2>Figures")
    alone = write(tmp_path / "page.html", runs[:1], drawn, [])
    several = write(tmp_path / "page.html", runs, drawn, [])
    assert alone.index(heads[0]) < alone.index(heads[1])
    assert several.index(heads[0]) > several.index(heads[1])
    assert "Trained for 1,234 steps" in alone


@needs_chromium
@pytest.mark.parametrize("width", [1200, 500])
def test_it_works_in_a_browser(
    tmp_path: Path, runs: list[Examined], drawn: list[Chart], film: Film, width: int
) -> None:
    write(tmp_path / "page.html", runs, drawn, [film])
    found = visit(tmp_path / "page.html", USER, tmp_path, width=width)
    assert found["errors"] == found["requests"] == []
    assert found["wide"]

    errors = {run.name: run.evaluation.generation.every.mse for run in runs}
    shared = runs[0].evaluation
    assert shared.nearest_pose is not None
    errors |= {"copy last": shared.copy_last.every.mse, "mean context": shared.mean_context.every.mse}
    errors["nearest pose"] = shared.nearest_pose.every.mse
    assert found["rows"] == list(errors)
    assert [float(f"{errors[name]:.3g}") for name in found["up"]] == sorted(float(f"{e:.3g}") for e in errors.values())
    assert [float(f"{errors[name]:.3g}") for name in found["down"]] == sorted(
        (float(f"{e:.3g}") for e in errors.values()), reverse=True
    )
    assert found["names"] == sorted(errors)
    assert found["sorted"][:3] == ["ascending", "none", "none"]
    assert found["focused"] == "generation MSE"

    curve = shared.generation.every.curve
    assert float(found["last"]["half, imagining"]) == pytest.approx(curve[3], rel=1e-2)
    assert float(found["before"]["half, imagining"]) == pytest.approx(curve[2], rel=1e-2)
    assert float(found["last"]["S4WM, the paper's"]) == PAPER
    assert (found["charts"], found["lines"], found["fewer"]) == (1, 10, 9)

    assert found["start"]["state"] == "context, seen: 7 steps before the query"
    assert found["ninth"]["state"] == "query, imagined: step 3 of 4"
    assert found["end"] | {"pixels": None, "notes": None} == {
        "state": "query, imagined: step 4 of 4", "button": "Play", "pixels": None, "notes": None,
    }  # fmt: skip
    truth, half = film.truth[9], film.takes[0].frames[9]
    expected = [truth, film.truth[6], half, np.abs(half.astype(int) - truth)]
    for pixels, frame in zip(found["ninth"]["pixels"], expected, strict=False):
        np.testing.assert_array_equal(np.reshape(pixels, (*IMAGE[:2], 4))[..., :3], frame)
    assert found["ninth"]["notes"][3] == f"squared error {film.takes[0].error[9]:.3g}"
    assert found["start"]["pixels"] != found["ninth"]["pixels"] != found["end"]["pixels"]


def test_recall_has_curves_of_both_averages_with_floors_and_oracle(tmp_path: Path) -> None:
    source = MemorySource(3, teleport=2, posed=True)
    runs = [examined("half", Blend(source.episodes, [0.5] * 4), source), examined("copy", CopyLast(), source)]
    drawn = charts.charts(runs)
    assert [chart.key for chart in drawn] == ["curves", "recall", "recall-common"]
    recall = runs[1].evaluation.recall
    assert recall is not None
    for chart, average in zip(drawn[1:], ("rest", "common"), strict=True):
        lines = {line.name: line.values for line in chart.lines}
        assert set(lines) == {
            "copy last frame (floor)", "mean frame (floor)", "nearest pose", "half", "copy",
        }  # fmt: skip
        np.testing.assert_array_equal(chart.x, recall.given)
        np.testing.assert_allclose(lines["copy"], [k.value for k in getattr(recall.model, average)])
        assert lines["nearest pose"] == pytest.approx(0, abs=1e-9)  # the context comes again
        save_chart(chart, tmp_path / "chart.png")
        assert (tmp_path / "chart.png").read_bytes().startswith(b"\x89PNG")
