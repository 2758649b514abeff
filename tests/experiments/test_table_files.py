"""What a table says of run folders that no training made: means, spread, floors, the paper, and what is missing."""

import csv
import json
import shutil

import pytest
from matplotlib.figure import Figure

from longdream.experiments.progress import failure_path
from longdream.experiments.scales import Choice, plan, read_scale
from longdream.experiments.table_files import Order, state, write_table
from longdream.experiments.tables import LABELS, TABLES, figure
from longdream.tests.experiments.reproduce_toys import measured, toy_scale

EVALUATE = {"episodes": 2, "device": "cpu"}


def order_of(folder, **more):
    scale = read_scale(str(toy_scale(folder / "toy.yaml")))
    config = plan(scale, "table2", Choice(folder / "runs", folder / "data"))
    return Order("table2", "toy", scale, config, folder / "out", "longdream reproduce table2", **more)


def runs_of(order):
    return {(run.model, run.seed): run for run in order.config.runs()}


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
    assert "\na toy, a card; runs begun with commit aaaaaaa.\n" in text  # the machine that trained, not this one
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
    assert not list(tmp_path.rglob("*.part"))


def test_what_was_trained_in_bf16_is_named(tmp_path):
    order = order_of(tmp_path)
    measured(runs_of(order)["s4wm", 0], 20, 0.9, 0.55, precision="bf16")
    measured(runs_of(order)["rssm", 0], 20, 0.9, 0.55)
    write_table(order)
    assert "commit aaaaaaa; in bf16 autocast: dm/s4wm/seed-0.\n" in (order.out / "table.md").read_text()


def test_a_figure_does_not_depend_on_where_it_was_measured(tmp_path):
    """Options of a measurement that decide its figures must be the plan's; a device does not."""
    order = order_of(tmp_path)
    run = runs_of(order)["s4wm", 0]
    measured(run, 20, 0.9, 0.55)
    asked = run.folder / "evaluation-00000020" / "asked.json"
    for options, there in (({"episodes": 2, "device": "cuda"}, "0.55"), ({"episodes": 3, "device": "cpu"}, "")):
        asked.write_text(json.dumps(options))
        write_table(order)
        assert cells(order, "S4WM")["mean"] == there


@pytest.mark.parametrize(
    ("file", "mend"),
    [
        ("checkpoints/00000020/config.json", "and the run begins anew"),
        ("evaluation-00000020/results.json", "and the run is measured again"),
        ("evaluation-00000020/asked.json", "and the run is measured again"),
        ("metrics.jsonl", "to begin anew"),
    ],
)
def test_a_damaged_file_is_named_with_its_mend(tmp_path, file, mend):
    order = order_of(tmp_path)
    run = runs_of(order)["s4wm", 0]
    measured(run, 20, 0.9, 0.55)
    (run.folder / file).write_text('{"step": 2')
    with pytest.raises(ValueError, match=rf"{file}.* remove .*{mend}"):
        write_table(order)


def test_a_figure_that_is_not_there_is_none():
    metric = TABLES["figure6"].metrics[1]
    measured = {"recall": {"model": {"rest": [{"value": 1.0}, {"value": 2.0}]}}}
    assert figure(measured, metric.path) == 2.0
    assert figure({"recall": None}, metric.path) is None
    assert figure({}, metric.path) is None


def test_the_papers_figures_lie_inside_the_picture_and_models_beside_each_other(tmp_path, monkeypatch):
    """Though they are far below ours, and one model takes twice the steps of another."""
    drawn = []
    save = Figure.savefig
    monkeypatch.setattr(Figure, "savefig", lambda self, path: (drawn.append(self), save(self, path)))
    keys = {"beside": "multi_doors_keys_three", "collect": {"env": "multi_doors_keys_two"}}
    keys |= {"models": {"rssm": {"steps": 80}}}
    table = {"data": ["x"], "seeds": [0], "evaluate": EVALUATE}
    scale = read_scale(str(toy_scale(tmp_path / "toy.yaml", data={"x": keys}, tables={"table3": table})))
    config = plan(scale, "table3", Choice(tmp_path / "runs", tmp_path / "data"))
    for run in config.runs():
        measured(run, config.steps_of(run), 1.0, 1.0)
    write_table(Order("table3", "toy", scale, config, tmp_path / "out", "longdream reproduce"))
    (axes,) = drawn[0].axes
    low, high = axes.get_ylim()
    ticks = [line for line in axes.lines if line.get_marker() == "<"]
    assert len(ticks) == 3
    assert all(low <= line.get_ydata()[0] <= high for line in ticks)
    assert all("(another task)" in line.get_label() for line in ticks)
    curves = [line for line in axes.lines if line.get_label() in LABELS.values()]
    assert [list(line.get_xdata()) for line in curves] == [[100.0]] * 3
    steps = {line.get_label(): line.get_color() for line in drawn[1].axes[0].lines}
    assert all(steps[line.get_label()] == line.get_color() for line in curves)


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
            assert "| *the paper's constant* | *80.8 %* | *23.9* |" in text
        else:
            assert "| S4WM | 5 | 3 | 1 of 1 seeds, 40 of 40 steps | 40 |" in text
            assert "TSSM-XL recalls best in Two Rooms" in text
