"""What a table says of run folders that no training made: means, spread, floors, the paper, and what is missing."""

import csv
import json
import shutil

import pytest

from longdream.experiments.progress import failure_path
from longdream.experiments.scales import Choice, plan, read_scale
from longdream.experiments.table_files import Order, state, write_table
from longdream.experiments.tables import TABLES, figure
from longdream.tests.experiments.reproduce_toys import toy_scale
from longdream.tests.experiments.sweep_toys import pretend, results

EVALUATE = {"episodes": 2, "device": "cpu"}


def order_of(folder, **more):
    scale = read_scale(str(toy_scale(folder / "toy.yaml")))
    config = plan(scale, "table2", Choice(folder / "runs", folder / "data"))
    return Order("table2", "toy", scale, config, folder / "out", "longdream reproduce table2", **more)


def runs_of(order):
    return {(run.model, run.seed): run for run in order.config.runs()}


def measured(run, step, inference, imagination):
    """Make a run's folder as it would be after a measurement at `step`."""
    pretend(run, {at: 60.0 * at for at in (20, 40) if at <= step}, [step])
    found = results(7.0)
    found["runs"][0]["reward"] |= {"inference": {"accuracy": inference}, "imagination": {"accuracy": imagination}}
    found["runs"][0]["reward"] |= {"majority_class": 0.625, "chance": 0.5}
    folder = run.folder / f"evaluation-{step:08d}"
    (folder / "results.json").write_text(json.dumps(found))
    (folder / "asked.json").write_text(json.dumps(EVALUATE))
    provenance = {"commit": "a" * 40, "date": "now", "data_hash": "x", "hardware": {}}
    (run.folder / "config.json").write_text(json.dumps({"provenance": provenance}))


def rows(order):
    with (order.out / "table.csv").open() as file:
        return list(csv.DictReader(file))


def cells(order, row, metric="reward in imagination", source="ours"):
    return next(r for r in rows(order) if (r["row"], r["metric"], r["source"]) == (row, metric, source))


def test_nothing_is_a_table_too(tmp_path):
    order = order_of(tmp_path)
    found = write_table(order)
    assert state(found).startswith("**Partial**: 0 of 6 runs")
    assert not (order.out / "figure.png").exists()
    assert cells(order, "S4WM")["mean"] == ""
    text = (order.out / "table.md").read_text()
    assert "| S4WM | - | - | 0 of 2 seeds |" in text
    assert "| *the paper's S4WM* | *100 %* | *100 %* | *another task: distracting_memory, 199 + 51 steps* |" in text
    assert "figure.png" not in text


def test_a_complete_table_has_means_spread_floors_and_the_paper(tmp_path):
    order = order_of(tmp_path)
    for (model, seed), run in runs_of(order).items():
        measured(run, 40, 0.9, {"s4wm": 0.7, "tssm-xl": 0.6, "rssm": 0.5}[model] + 0.1 * seed)
    found = write_table(order)
    assert state(found) == "**Complete**: 6 of 6 runs are through all their steps."
    mine = cells(order, "S4WM")
    assert float(mine["mean"]) == pytest.approx(0.75)
    assert float(mine["deviation"]) == pytest.approx(0.1 / 2**0.5)  # of a sample of two
    assert mine["each seed"] == "0.7 0.8"
    assert (mine["seeds"], mine["seeds planned"], mine["step"], mine["steps planned"]) == ("2", "2", "40", "40")
    assert float(cells(order, "majority class", source="floor")["mean"]) == 0.625
    assert float(cells(order, "RSSM-TBTT", "reward by inference", "paper")["mean"]) == pytest.approx(0.479)
    text = (order.out / "table.md").read_text()
    assert "| S4WM | 90 % ± 0.0 | 75 % ± 7.1 | 2 of 2 seeds, 40 of 40 steps | 40 |" in text
    assert text.count("it is a toy") == 1
    assert "![Over training](figure.png)" in text
    assert (order.out / "figure.png").read_bytes()[:4] == b"\x89PNG"
    record = json.loads((order.out / "provenance.json").read_text())
    assert record["trained with"] == ["a" * 40]
    assert record["seeds"] == [0, 1]
    assert set(record["runs"]) == {run.name for run in order.config.runs()}


def test_rows_are_of_the_latest_round_that_all_have_come_to(tmp_path):
    """S4WM is through all its steps, RSSM only through half: both are shown at half."""
    order = order_of(tmp_path)
    runs = runs_of(order)
    for model in ("s4wm", "rssm", "tssm-xl"):
        measured(runs[model, 0], 20, 0.9, 0.55)
    measured(runs["s4wm", 0], 40, 0.9, 1.0)
    write_table(order)
    assert (cells(order, "S4WM")["mean"], cells(order, "S4WM")["step"]) == ("0.55", "20")
    text = (order.out / "table.md").read_text()
    assert "1 of 2 seeds, 20 of 40 steps (50 % trained)" in text  # 40 of its two seeds' 80
    assert "1 of 2 seeds, 20 of 40 steps (25 % trained)" in text
    measured(runs["rssm", 0], 40, 0.9, 0.5)
    measured(runs["tssm-xl", 0], 40, 0.9, 0.5)
    write_table(order)
    assert (cells(order, "S4WM")["mean"], cells(order, "S4WM")["seeds"]) == ("1.0", "1")


def test_a_model_that_failed_is_named_and_does_not_hold_the_others_up(tmp_path):
    order = order_of(tmp_path)
    runs = runs_of(order)
    for seed in (0, 1):
        measured(runs["s4wm", seed], 40, 0.9, 1.0)
        measured(runs["rssm", seed], 40, 0.9, 0.5)
        path = failure_path(order.config, runs["tssm-xl", seed])
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("the loss is not finite\n")
    found = write_table(order)
    assert state(found).startswith("**Partial**: 4 of 6")
    assert cells(order, "S4WM")["mean"] == "1.0"
    text = (order.out / "table.md").read_text()
    assert "| TSSM-XL | - | - | 0 of 2 seeds; 2 failed |" in text
    assert "* dm, tssm-xl, seed 1: the loss is not finite" in text


def test_a_section_of_results_is_written_again_in_its_place(tmp_path):
    path = tmp_path / "RESULTS.md"
    path.write_text("# Results\n\nby hand\n")
    order = order_of(tmp_path, results_md=path)
    for (_, seed), run in runs_of(order).items():
        if seed == 0:
            measured(run, 40, 0.9, 1.0)
    write_table(order)
    assert "1 of 2 seeds" in path.read_text()
    assert "(out/figure.png)" in path.read_text()
    for run in runs_of(order).values():
        measured(run, 40, 0.9, 1.0)
    write_table(order)
    text = path.read_text()
    assert text.startswith("# Results\n\nby hand\n")
    assert text.count("## Table 2 of the S4WM paper") == 1
    assert "1 of 2 seeds" not in text
    shutil.rmtree(tmp_path / "runs")
    write_table(order)
    assert "0 of 2 seeds" in path.read_text()


def test_a_figure_that_is_not_there_is_none():
    metric = TABLES["figure6"].metrics[1]
    measured = {"recall": {"model": {"rest": [{"value": 1.0}, {"value": 2.0}]}}}
    assert figure(measured, metric.path) == 2.0
    assert figure({"recall": None}, metric.path) is None
    assert figure({}, metric.path) is None


def test_the_pictures_of_recall_and_of_probing_are_drawn(tmp_path):
    """From results as `evaluate` and `probe` write them."""
    interval = [{"value": value, "low": 0.0, "high": 9.0} for value in (5.0, 3.0)]
    recall = {"given": [0, 20], "episodes": 2} | {
        name: {"rest": interval, "common": interval} for name in ("model", "copy_last", "mean_context")
    }
    marks = {row: {"query": {"value": value}} for row, value in (("probe", 0.9), ("constant", 0.8))}
    probing = {"tasks": {"walls": {"rows": marks}, "objects": {"rows": marks}}}
    maze = {"env": "memory_maze_9x9", "n": 30, "frames": "on-read"}
    for name, found, data in (
        ("figure6", {"recall": recall}, {"beside": "two_rooms_teleport", "collect": {"env": "two_rooms_teleport"}}),
        ("table6", probing, {"beside": "memory_maze_9x9", "collect": maze}),
    ):
        folder = tmp_path / name
        folder.mkdir()
        table = {"data": ["x"], "seeds": [0], "evaluate": EVALUATE}
        scale = read_scale(str(toy_scale(folder / "toy.yaml", data={"x": data}, tables={name: table})))
        config = plan(scale, name, Choice(folder / "runs", folder / "data"))
        for run in config.runs():
            measured(run, 40, 1.0, 1.0)
            whole = found | {"provenance": {"config": {"parameters": 1}}}
            written = whole if name == "table6" else {"runs": [whole]}
            (run.folder / "evaluation-00000040" / "results.json").write_text(json.dumps(written))
        order = Order(name, "toy", scale, config, folder / "out", "longdream reproduce")
        assert state(write_table(order)).startswith("**Complete**")
        assert (order.out / "figure.png").exists()
        text = (order.out / "table.md").read_text()
        if name == "table6":
            assert "| S4WM | 90 % | 0.9 | 1 of 1 seeds, 40 of 40 steps | 40 |" in text
            assert "| *constant answer (floor)* | *80 %* | *0.8* |" in text
            assert "| *the paper's S4WM* | *88.4 %* | *8.9* | *memory_maze_9x9, 500 + 501 steps* |" in text
        else:
            assert "| S4WM | 5 | 3 | 1 of 1 seeds, 40 of 40 steps | 40 |" in text
            assert "TSSM-XL recalls best in Two Rooms" in text
