"""What an evaluation leaves behind: whole, readable by machines, and fetching nothing."""

from __future__ import annotations

import csv
import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from longdream.eval import output
from longdream.eval.evaluation import Evaluation, evaluate
from longdream.eval.table import as_text, tables
from longdream.tests.eval.eval_stubs import Blend, CopyLast, FrameModel, MemorySource, Truth


def origin(run: Path) -> dict[str, Any]:
    return {
        "command": "evaluate --checkpoint 'a <b>'",
        "date": "2025-01-01T00:00:00+00:00",
        "commit": "0123abc",
        "checkpoint": str(run / "best"),
        "config": {"step": 1234, "world_model": {"width": 8}},
        "data": "data/<toy>",
        "data_hash": "sha256:77",
        "settings": {"split": "test", "seed": 3},
        "hardware": {"cores": 2},
        "versions": {"torch": "2.0"},
    }


def written(model: FrameModel, source: MemorySource, run: Path) -> Path:
    out = run / "evaluation-test"
    out.mkdir(parents=True)
    output.write(evaluated(model, source), origin(run), out)
    return out


def evaluated(model: FrameModel, source: MemorySource) -> Evaluation:
    return evaluate(model, source, source.indices)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The output of a model that is exact at the first step and copies from then on, beside a run's log."""
    run = tmp_path_factory.mktemp("runs") / "first"
    run.mkdir()
    lines = [{"step": s, "kind": k, "loss": 10.0 / s, "kl": 1.0} for s in (1, 2, 3) for k in ("train", "validation")]
    (run / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    source = MemorySource(4, pad=1)
    return written(Blend(source.episodes, [0, 1, 1, 1]), source, run)


class References(HTMLParser):
    """Collects whatever a page would fetch."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, str]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found += [
            (tag, value or "") for name, value in attrs if name in ("src", "href", "srcset", "data", "action")
        ]
        assert tag not in ("script", "link", "iframe")


def test_the_report_is_one_file_that_fetches_nothing(folder: Path) -> None:
    page = (folder / "report.html").read_text(encoding="utf-8")
    references = References()
    references.feed(page)
    assert [tag for tag, _ in references.found] == ["img"] * 3
    assert all(value.startswith("data:image/png;base64,iVBOR") for _, value in references.found)
    assert not re.search(r"https?://|url\(|@import", page)


def test_the_report_has_all_its_parts(folder: Path) -> None:
    page = (folder / "report.html").read_text(encoding="utf-8")
    for part in (
        "What first remembers",
        "What was learned and what was not",
        "copy last",
        "mean context",
        "majority class",
        "without padding",
        "4 of the frames only fill their episode up",
        "0123abc",
        "sha256:77",
        "Trained for 1,234 steps",
        "data/&lt;toy&gt;",
        "a &lt;b&gt;",
        "&quot;width&quot;: 8",
        "not recorded beside the checkpoint",
    ):
        assert part in page, part


def test_the_words_of_the_report_follow_the_numbers(tmp_path: Path) -> None:
    source = MemorySource(20)
    good = (written(Truth(source.episodes), source, tmp_path / "good") / "report.html").read_text()
    floor = (written(CopyLast(), source, tmp_path / "floor") / "report.html").read_text()
    assert "Imagining: learned." in good
    assert "Remembering the reward: learned." in good
    assert "not learned." not in good
    assert "Imagining: not learned." in floor
    assert "Remembering the reward: not learned." in floor


def test_results_hold_every_figure(folder: Path) -> None:
    found = json.loads((folder / "results.json").read_text(), parse_constant=pytest.fail)  # no NaN, no Infinity
    generation, copy = found["errors"]["generation"], found["errors"]["copy_last"]
    assert generation["per_step"][0] == pytest.approx(0, abs=1e-9)
    assert generation["per_step"][1:] == pytest.approx(copy["per_step"][1:])
    assert generation["mse"] == pytest.approx(sum(generation["per_step"]) / 4)
    assert generation["mse_without_padding"] == pytest.approx(sum(generation["per_step"][:3]) / 3)
    assert generation["per_step_without_padding"][3] is None  # every last frame is padding
    assert generation["mse_per_pixel"] == pytest.approx(generation["mse"] / 90)
    assert found["errors"]["reconstruction"]["psnr"] is None  # exact
    assert found["reward"]["imagination"]["accuracy"] == 1
    assert (found["context"], found["query"], found["episodes"]) == (7, 4, [0, 1, 2, 3])
    assert found["provenance"]["settings"]["seed"] == 3
    assert found["findings"][0]["topic"] == "Seeing"


def test_curves_have_one_line_a_step(folder: Path) -> None:
    with (folder / "curves.csv").open() as file:
        rows = list(csv.DictReader(file))
    errors = json.loads((folder / "results.json").read_text())["errors"]
    assert [row["step"] for row in rows] == ["1", "2", "3", "4"]
    for column, name in (("model", "generation"), ("copy_last", "copy_last"), ("mean_context", "mean_context")):
        assert [float(row[column]) for row in rows] == pytest.approx(errors[name]["per_step"])


def test_without_a_log_the_report_says_that_losses_are_missing(tmp_path: Path) -> None:
    out = written(CopyLast(), MemorySource(1, query=1), tmp_path / "bare")
    page = (out / "report.html").read_text()
    assert "No losses are shown" in page
    assert page.count("<img") == 2


@pytest.mark.parametrize(("trained_on", "warned"), [("sha256:77", False), ("sha256:88", True)])
def test_other_training_data_are_pointed_out(tmp_path: Path, trained_on: str, warned: bool) -> None:
    run = tmp_path / "run"
    run.mkdir()
    (run / "metrics.jsonl").touch()
    record = {"provenance": {"data_hash": trained_on, "data": "data/other"}}
    (run / "config.json").write_text(json.dumps(record))
    page = (written(CopyLast(), MemorySource(1), run) / "report.html").read_text()
    assert ("trained on data/other (sha256:88)" in page) == warned


def test_the_table_has_the_floors_beside_the_model() -> None:
    images, reward = (as_text(table) for table in tables(evaluated(CopyLast(), MemorySource(4))))
    generation = next(line for line in images.splitlines() if line.startswith("generation MSE"))
    _, _, model, copy, mean = generation.split()
    assert model == copy != mean
    assert reward.splitlines()[-1].split()[-4:] == ["50", "%", "50", "%"]
    assert len({len(line) for line in images.splitlines()}) == 1  # columns line up


def test_the_first_step_is_no_part_of_the_reconstruction_headline() -> None:
    class Untaught(CopyLast):
        """Draws the first frame in black, as a model may whose objective starts at the second."""

        def observe(self, batch, state=None, generators=None):
            beliefs = super().observe(batch, state)
            return beliefs._replace(
                latent=beliefs.latent._replace(deter=beliefs.latent.deter * ~batch.first[..., None])
            )

    images, _ = (as_text(table) for table in tables(evaluated(Untaught(), MemorySource(2))))
    lines = {line[:22].strip(): line.split() for line in images.splitlines()}
    assert lines["reconstruction MSE"][2] == "0"
    assert float(lines["with the first step"][4]) > 1
