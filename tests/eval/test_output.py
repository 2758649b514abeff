"""What an evaluation leaves behind: whole, readable by machines, and fetching nothing."""

from __future__ import annotations

import csv
import dataclasses
import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from longdream.eval import charts, output
from longdream.eval.evaluation import Evaluation, evaluate
from longdream.eval.examined import Examined
from longdream.eval.figures import save_events
from longdream.eval.reasoning import KINDS
from longdream.eval.table import as_text, remark, tables
from longdream.tests.eval.collected import collected
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
        "environment": "toy",
        "options": {"size": 5},
        "settings": {"split": "test", "seed": 3},
        "hardware": {"cores": 2},
        "versions": {"torch": "2.0"},
    }


def written(model: FrameModel, source: MemorySource, run: Path) -> Path:
    out = run / "evaluation-test"
    out.mkdir(parents=True)
    output.write([Examined(run.name, evaluated(model, source), origin(run))], out)
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
        assert tag not in ("link", "iframe")


def test_the_report_is_one_file_that_fetches_nothing(folder: Path) -> None:
    page = (folder / "report.html").read_text(encoding="utf-8")
    references = References()
    references.feed(page)
    assert [tag for tag, _ in references.found] == ["img"] * 2
    assert all(value.startswith("data:image/png;base64,iVBOR") for _, value in references.found)
    assert set(re.findall(r"https?://[^\"' ]*", page)) == {"http://www.w3.org/2000/svg"}  # a name, not an address
    assert not re.search(r"url\(|@import", page)


def test_the_report_has_all_its_parts(folder: Path) -> None:
    page = (folder / "report.html").read_text(encoding="utf-8")
    for part in (
        "What first remembers",
        "What was learned and what was not",
        "copy last",
        "mean context",
        "majority class",
        "generation, unpadded",
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


def results(folder: Path) -> dict[str, Any]:
    """What results.json says of its one run; it holds no NaN and no Infinity."""
    found = json.loads((folder / "results.json").read_text(), parse_constant=pytest.fail)
    [run] = found["runs"]
    return run


def test_results_hold_every_figure(folder: Path) -> None:
    found = results(folder)
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
    errors = results(folder)["errors"]
    assert [row["step"] for row in rows] == ["1", "2", "3", "4"]
    for column, name in (("first", "generation"), ("copy_last", "copy_last"), ("mean_context", "mean_context")):
        assert [float(row[column]) for row in rows] == pytest.approx(errors[name]["per_step"])


def test_without_a_log_the_report_says_that_losses_are_missing(tmp_path: Path) -> None:
    out = written(CopyLast(), MemorySource(1, query=1), tmp_path / "bare")
    page = (out / "report.html").read_text()
    assert "No losses are shown" in page
    assert page.count("<img") == 1


@pytest.mark.parametrize(("trained_on", "warned"), [("sha256:77", False), ("sha256:88", True)])
def test_other_training_data_are_pointed_out(tmp_path: Path, trained_on: str, warned: bool) -> None:
    run = tmp_path / "run"
    run.mkdir()
    (run / "metrics.jsonl").touch()
    record = {"provenance": {"data_hash": trained_on, "data": "data/other"}}
    (run / "config.json").write_text(json.dumps(record))
    page = (written(CopyLast(), MemorySource(1), run) / "report.html").read_text()
    assert ("trained on data/other (sha256:88)" in page) == warned


def test_results_hold_recall_and_the_oracle_where_the_data_have_them(tmp_path: Path) -> None:
    source = MemorySource(3, teleport=2, posed=True)
    found = results(written(Truth(source.episodes), source, tmp_path / "run"))
    assert found["recall"]["given"] == [0, 1, 2]
    assert [one["value"] for one in found["recall"]["model"]["common"]] == [0, 0, 0]
    assert found["recall"]["copy_last"]["rest"][0]["low"] > 0
    assert found["errors"]["nearest_pose"]["mse"] == 0
    plain = results(written(CopyLast(), MemorySource(2), tmp_path / "plain"))
    assert plain["errors"]["nearest_pose"] is plain["recall"] is plain["doors"] is None


def test_results_hold_what_was_told_of_doors(tmp_path: Path) -> None:
    source = collected("multi_doors_keys_two", 2)
    found = results(written(Truth(source.episodes), source, tmp_path / "doors"))["doors"]
    for kind in KINDS:
        assert found[kind]["right"] == found[kind]["cases"] > 0
        assert found[kind]["interval"]["value"] == 1
    assert found["tried"]["always_open"] + found["tried"]["always_closed"] == 1
    assert len(found["seen_per_step"]) == 92
    assert list(found["floors"]) == ["copy_last", "mean_context", "nearest_pose"]
    assert found["floors"]["copy_last"]["seen"]["right"] < found["floors"]["copy_last"]["seen"]["cases"]


def test_doors_have_their_floors_in_the_table_and_the_charts(tmp_path: Path) -> None:
    source = collected("multi_doors_keys_two", 2)
    run = run_of("copies", CopyLast(), source)
    *_, doors = lines_of(run)
    names = ["always closed", "always open", "copy last", "mean context", "nearest pose"]
    assert list(doors) == ["copies", *names]
    shares = {name: [cell.split(" %")[0] for cell in cells.values()] for name, cells in doors.items()}
    assert shares["copies"] == shares["copy last"] != shares["mean context"]
    chart = charts.charts([run])[-1]
    beside = [line.name.removesuffix(" (floor)") for line in charts.door_events(run.evaluation)]
    assert [line.name.removesuffix(" (floor)") for line in chart.lines] == [*beside, "model"]
    assert beside == ["always closed", "always open", "copy last frame", "mean context frame", "nearest pose"]
    lines = {line.name: line.values for line in chart.lines}
    np.testing.assert_array_equal(lines["copy last frame (floor)"], lines["model"])
    events = {line.name: line.values for line in charts.door_events(run.evaluation)}
    told = run.evaluation.door_floors["nearest_pose"]
    assert list(events["nearest pose"]) == [getattr(told, kind).interval.value for kind in KINDS]
    save_events([run], tmp_path / "doors.png")
    assert (tmp_path / "doors.png").read_bytes().startswith(b"\x89PNG")


def test_where_no_door_comes_into_view_none_is_drawn(tmp_path: Path) -> None:
    source = collected("multi_doors_keys_two", 1)
    [episode] = source.episodes
    source.episodes = [dataclasses.replace(episode, pad=np.arange(len(episode)) >= episode.context)]
    out = written(CopyLast(), source, tmp_path / "run")
    assert not list(out.glob("doors*.png"))
    assert results(out)["doors"]["seen"]["cases"] == 0
    assert "<td>copy last</td><td>-</td>" in (out / "report.html").read_text()


def test_a_reward_that_never_comes_has_no_card(folder: Path, tmp_path: Path) -> None:
    told = (folder / "report.html").read_text()
    assert told.count('class="card"') == 4
    assert "<span>reward in imagination</span>" in told
    untold = (written(CopyLast(), MemorySource(1), tmp_path / "run") / "report.html").read_text()
    assert untold.count('class="card"') == 2
    assert "<span>reward in imagination</span>" not in untold


def lines_of(*examined: Examined) -> list[dict[str, dict[str, str]]]:
    """The tables, as {row: {column: cell}}."""
    return [
        {row.label: dict(zip(table.header, row.cells, strict=True)) for row in table.rows} for table in tables(examined)
    ]


def run_of(name: str, model: FrameModel, source: MemorySource, **more: Any) -> Examined:
    return Examined(name, evaluated(model, source), origin(Path(name)) | more)


def test_the_table_has_a_row_for_each_run_above_the_floors() -> None:
    source = MemorySource(4)
    runs = [run_of("copies", CopyLast(), source), run_of("knows", Truth(source.episodes), source)]
    images, reward = lines_of(*runs)
    assert list(images) == ["copies", "knows", "copy last", "mean context"]
    generation = {name: cells["generation MSE"] for name, cells in images.items()}
    assert generation["copies"] == generation["copy last"] != generation["mean context"]
    assert generation["knows"] == "0"
    assert list(reward) == ["copies", "knows", "majority class", "chance"]
    assert {*reward["majority class"].values(), *reward["chance"].values()} == {"50 %"}
    text = as_text(tables(runs)[0])
    assert len({len(line) for line in text.splitlines()}) == 1  # columns line up


def test_the_oracle_and_recall_have_their_rows() -> None:
    source = MemorySource(3, teleport=2, posed=True)
    images, _, recall = lines_of(run_of("copies", CopyLast(), source))
    assert list(images) == list(recall) == ["copies", "copy last", "mean context", "nearest pose"]
    assert images["nearest pose"]["generation MSE"] == "0"
    assert recall["copies"] == recall["copy last"]
    assert "curves of this task, without numbers" in remark([run_of("copies", CopyLast(), source)])
    assert list(recall["copies"]) == ["0 shown", "1 shown", "2 shown", "0, common", "1, common", "2, common"]


def test_the_papers_rows_are_marked_and_stand_beside_its_own_task_only() -> None:
    source = MemorySource(2, context=199, query=51, image=(40, 40, 3))
    task = {"environment": "distracting_memory", "options": {"width": 100, "distractors": 0.5}}
    run = run_of("mine", CopyLast(), source, **task)
    images, reward = lines_of(run)
    assert not any("paper" in name for name in images)  # it has no such figure of this task
    assert reward["TSSM-XL (paper's)"] == {"by inference": "100 %", "in imagination": "51.2 %"}
    assert "what to expect and not what to hit" in remark([run])
    other = run_of("mine", CopyLast(), MemorySource(2), **task | {"options": {"width": 14, "distractors": 0.5}})
    assert not any("paper" in name for table in lines_of(other) for name in table)
    assert "of other sizes, 199 + 51 steps (width 100" in remark([other])
    doors = {"environment": "multi_doors_keys_two", "options": {"keys": 2}}
    assert "of other sizes, 76 + 174 steps (keys 3)" in remark([run_of("mine", CopyLast(), MemorySource(2), **doors)])
    maze = {"environment": "memory_maze_9x9"}  # the paper probes in it
    assert remark([run_of("mine", CopyLast(), MemorySource(2), **maze)]) == (
        "The paper has no figures of imagination in this environment."
    )


def test_the_first_step_is_no_part_of_the_reconstruction_headline() -> None:
    class Untaught(CopyLast):
        """Draws the first frame in black, as a model may whose objective starts at the second."""

        def observe(self, batch, state=None, generators=None):
            beliefs = super().observe(batch, state)
            return beliefs._replace(
                latent=beliefs.latent._replace(deter=beliefs.latent.deter * ~batch.first[..., None])
            )

    images, _ = lines_of(run_of("untaught", Untaught(), MemorySource(2)))
    assert images["untaught"]["reconstruction MSE"] == "0"
    assert float(images["untaught"]["with the first step"]) > 1
