"""Figure 3 from what `longdream benchmark` wrote, without measuring anything."""

import csv
import json
from pathlib import Path

import pytest

from longdream.experiments.children import Failed
from longdream.experiments.session import Session
from longdream.experiments.speed import Benchmark, write

OPTIONS = {"size": 64, "batch": 8}


def order_of(folder, **more):
    presets = {"rssm": "rssm", "tssm-xl": "tssm-xl", "s4wm": "s4wm"}
    return Benchmark(presets, OPTIONS, folder / "runs", folder / "out", "toy", "longdream reproduce figure3", **more)


def measured(order, row, training, imagination):
    folder = order.folder(row)
    folder.mkdir(parents=True)
    write_results(folder, row, training, imagination)
    (folder / "asked.json").write_text(json.dumps(OPTIONS | {"model": row}))


def write_results(folder, row, training, imagination):
    def phase(name, unit, rate):
        problem = None if rate else "it ran out of memory"
        return shared | {"phase": name, "unit": unit, "rate": rate, "problem": problem}

    shared = {"preset": row, "parameters": 41_100_000, "device": "cpu", "peak_memory_gb": 7.5}
    results = [phase("training", "episodes/s", training), phase("imagination", "frames/s", imagination)]
    (folder / "results.json").write_text(json.dumps({"results": results}))


def test_rates_stand_beside_the_rssms_and_the_papers_words(tmp_path):
    order = order_of(tmp_path, results_md=tmp_path / "RESULTS.md")
    measured(order, "rssm", 2.0, 1000.0)
    measured(order, "s4wm", 5.0, None)  # it ran out of memory
    write(order, {"tssm-xl": "the GPU's memory is too small"})
    text = (order.out / "table.md").read_text()
    assert "**Partial**: 1 of 3 models" in text
    assert "| RSSM-TBTT | 41.1 M | 2, 1.00x, 7.5 | 1,000, 1.00x, 7.5 |" in text
    assert "| S4WM | 41.1 M | 5, 2.50x, 7.5 | - |" in text
    assert "| TSSM-XL | - | - | - |" in text
    assert "* tssm-xl failed: the GPU's memory is too small" in text
    assert "The paper, on an RTX A6000" in text
    assert (order.out / "figure.png").exists()
    with (order.out / "table.csv").open() as file:
        first = next(csv.DictReader(file))
    assert (first["row"], first["phase"], first["rate"]) == ("RSSM-TBTT", "training", "2.0")
    assert "(out/figure.png)" in (tmp_path / "RESULTS.md").read_text()


def test_figures_of_other_options_do_not_count(tmp_path):
    order = order_of(tmp_path)
    measured(order, "rssm", 2.0, 1000.0)
    assert len(order.found("rssm")) == 2
    assert order._replace(options=OPTIONS | {"batch": 4}).found("rssm") == []
    write(order._replace(options=OPTIONS | {"batch": 4}), {})
    assert "0 of 3 models" in (order.out / "table.md").read_text()
    assert not (order.out / "figure.png").exists()


class OneThatFails(Session):
    """A session whose commands measure one phase, and fail in the other."""

    def __init__(self):
        super().__init__(1)
        self.commands = []
        self.children.run = self.half

    def half(self, words, log):
        self.commands.append(words)
        part = Path(words[-1].removeprefix("--out="))
        part.mkdir(parents=True)
        write_results(part, "s4wm", 5.0, None)
        raise Failed("it ran out of memory")


def test_what_was_measured_before_a_failure_is_kept_and_tried_again(tmp_path):
    order, session = order_of(tmp_path), OneThatFails()
    for attempt in (1, 2):
        with pytest.raises(Failed):
            order.measure(session, "s4wm")
        assert len(session.commands) == attempt
        assert [phase["rate"] for phase in order.found("s4wm")] == [5.0, None]
    measured(order, "rssm", 2.0, 1000.0)
    order.measure(session, "rssm")
    assert len(session.commands) == 2
    assert not list(tmp_path.rglob("*.part"))


def test_damaged_figures_are_named(tmp_path):
    order = order_of(tmp_path)
    measured(order, "rssm", 2.0, 1000.0)
    (order.folder("rssm") / "results.json").write_text("{")
    with pytest.raises(ValueError, match=r"results\.json is damaged .*: remove"):
        order.found("rssm")
