"""Figure 3 from what `longdream benchmark` wrote, without measuring anything."""

import csv
import json

from longdream.experiments.speed import Benchmark, write

OPTIONS = {"size": 64, "batch": 8}


def order_of(folder, **more):
    presets = {"rssm": "rssm", "tssm-xl": "tssm-xl", "s4wm": "s4wm"}
    return Benchmark(presets, OPTIONS, folder / "runs", folder / "out", "toy", "longdream reproduce figure3", **more)


def measured(order, row, training, imagination):
    folder = order.folder(row)
    folder.mkdir(parents=True)
    shared = {"preset": row, "parameters": 41_100_000, "device": "cpu", "problem": None, "peak_memory_gb": 7.5}
    results = [
        shared | {"phase": "training", "unit": "episodes/s", "rate": training},
        shared | {"phase": "imagination", "unit": "frames/s", "rate": imagination},
    ]
    (folder / "results.json").write_text(json.dumps({"results": results}))
    (folder / "asked.json").write_text(json.dumps(OPTIONS | {"model": row}))


def test_rates_stand_beside_the_rssms_and_the_papers_words(tmp_path):
    order = order_of(tmp_path, results_md=tmp_path / "RESULTS.md")
    measured(order, "rssm", 2.0, 1000.0)
    measured(order, "s4wm", 5.0, None)  # it ran out of memory
    write(order, {"tssm-xl": "the GPU's memory is too small"})
    text = (order.out / "table.md").read_text()
    assert "**Partial**: 2 of 3 models" in text
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
