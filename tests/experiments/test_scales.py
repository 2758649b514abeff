"""Every table at every scale: the plan holds together, without running any of it."""

import dataclasses
from functools import cache
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
import tyro

from longdream.eval.benchmark import BenchmarkArguments
from longdream.eval.cli import EvaluateConfig
from longdream.experiments.commands import flags, measure_command, train_command
from longdream.experiments.described import described
from longdream.experiments.estimate import costs, preset_of
from longdream.experiments.printed import printed
from longdream.experiments.reproduce import TableName
from longdream.experiments.scales import Choice, benchmark_options, beside, plan, read_scale
from longdream.experiments.tables import LABELS, NAMES, SPEED, TABLES
from longdream.probes.cli import ProbeConfig
from longdream.tests.experiments.reproduce_toys import toy_scale
from longdream.worldmodels.config import to_dict
from longdream.worldmodels.train_config import TrainConfig, flat

SCALES = ("tiny", "small", "paper")
CHOICE = Choice(Path("runs"), Path("data"))
scale_of = cache(read_scale)


def planned(name, scale):
    return plan(scale_of(scale), name, CHOICE)


@cache
def known_options(model, image_size):
    preset = preset_of({"model": model}, described({"env": "four_rooms" if image_size == 64 else "distracting_memory"}))
    config = TrainConfig(data=Path("d"), out=Path("o"), world_model=preset.model, optim=preset.optim)
    return {name for name in flat(to_dict(config)) if not name.endswith("type")}


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("name", TABLES)
def test_a_plan_names_nothing_that_there_is_not(name, scale):
    config = planned(name, scale)
    asked = ProbeConfig if name == "table6" else EvaluateConfig
    for run in config.runs():
        info = described(config.data[run.data].collect)
        options = config.options(run.model, run.data)
        assert set(options) <= known_options(options["model"], info.arrays["image"].shape[0]), run.name
        stops = config.stops(run)
        assert stops == sorted(set(stops))
        assert stops[-1] == config.steps_of(run) >= 1000
        for step in stops:
            command = measure_command(config, run, step, Path("x"))
            tyro.cli(asked, args=command[command.index("-m") + 2 :])
            test_split = len(info.splits.select("test", np.arange(info.episodes)))
            assert config.asked(run, step).get("episodes", 1) <= test_split


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("name", TABLES)
def test_every_row_has_the_papers_beside_it(name, scale):
    """Where the paper has figures; those of tables 1 to 6 are all in print."""
    for data in scale_of(scale).tables[name].data:
        rows = printed(TABLES[name], scale_of(scale).data[data].collect, beside(scale_of(scale), name, data))
        expected = [] if name == "figure6" else [LABELS[model] for model in TABLES[name].models]
        expected += ["constant"] if name == "table6" else []
        assert [row.label for row in rows] == expected
        assert all(len(row.values) == len(TABLES[name].metrics) for row in rows)
        assert scale != "paper" or all(row.ours for row in rows)


@pytest.mark.parametrize("scale", SCALES)
def test_the_figure_of_speed_is_a_benchmark(scale):
    words = flags(benchmark_options(scale_of(scale)) | {"model": "s4wm", "out": "x"})
    assert tyro.cli(BenchmarkArguments, args=words).out == Path("x")
    assert set(scale_of(scale).tables) == set(NAMES)


@pytest.mark.parametrize("scale", SCALES)
def test_runs_that_tables_share_are_the_same_run(scale):
    """What is in one folder is trained with one command, whichever table it is for."""
    commands = {}
    for name in TABLES:
        config = planned(name, scale)
        for run in config.runs():
            command = train_command(config, run)
            assert commands.setdefault(run.folder, command) == command, run.name


def test_a_plan_takes_what_is_chosen():
    scale = scale_of("tiny")
    choice = CHOICE._replace(models=("s4wm",), seeds=(5, 6), processes=2, device="cpu", precision="bf16", parallel=1)
    config = plan(scale, "table2", choice._replace(micro_batch=2))
    assert [(run.model, run.seed) for run in config.runs()] == [("s4wm", 5), ("s4wm", 6)]
    command = train_command(config, config.runs()[0])
    assert {"--precision=bf16", "--micro-batch=2", "--device=cpu", "torch.distributed.run"} <= set(command)
    assert command[command.index("--nproc-per-node") + 1] == "2"
    for wrong, message in (
        ({"models": ("s5wm",)}, "--models s5wm: this table has rssm, tssm-xl, s4wm"),
        ({"data_sets": ("dm15",)}, "--data-sets dm15: this table has dm14"),
        ({"processes": 0}, "--processes 0"),
    ):
        with pytest.raises(ValueError, match=message):
            plan(scale, "table2", CHOICE._replace(**wrong))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"rounds": [1, 0.5]}, "rising shares up to 1"),
        ({"models": {"s4wm": {"model": "s4wm-tiny"}}}, "the table needs 'rssm'"),
        ({"tables": {"table3": {"data": ["dm"]}}}, "this scale has no table2; it has table3"),
        ({"tables": {"table2": {"dota": ["dm"]}}}, "unknown field tables.table2.'dota'"),
        ({"speed": 3}, "is no scale"),
        ({"tables": {"table2": {"data": ["dm"], "seeds": [0, -1]}}}, r"seeds \[0, -1\]: 0 or more"),
        ({"tables": {"table2": {"data": ["dm"], "seeds": []}}}, "seeds: a sweep needs at least one"),
    ],
)
def test_a_scale_that_cannot_be_is_refused(tmp_path, changes, message):
    with pytest.raises(ValueError, match=message):
        plan(read_scale(str(toy_scale(tmp_path / "toy.yaml", **changes))), "table2", CHOICE)


def test_an_unknown_scale_is_told_the_known():
    with pytest.raises(ValueError, match="no scale 'tinny'; there are paper, small, tiny"):
        read_scale("tinny")


def test_time_is_estimated_from_what_is_left(tmp_path):
    scale = read_scale(str(toy_scale(tmp_path / "toy.yaml")))
    config = plan(scale, "table2", CHOICE._replace(runs=tmp_path / "runs", models=("s4wm",), seeds=(0,)))
    (cost,) = costs(config, scale.speed)
    assert (cost.steps, cost.frames) == (40, 2 * 35)
    assert cost.training == pytest.approx(40 * 2 * 35 / 1000)
    assert cost.measuring == pytest.approx(2 * (2 * 35 / 500 + 10))
    slow = dataclasses.replace(scale.speed, training={})
    assert costs(config, slow)[0].seconds is None
    run = config.runs()[0]
    run.folder.mkdir(parents=True)
    (run.folder / "metrics.jsonl").write_text('{"step": 10, "kind": "train", "seconds": 1, "frames_per_second": 50}\n')
    (cost,) = costs(config, scale.speed)
    assert cost.measured_speed
    assert cost.training == pytest.approx(40 * 2 * 35 / 50)


def test_the_tables_that_can_be_asked_for_are_those_there_are():
    assert set(get_args(TableName)) == set(NAMES)
    assert SPEED not in TABLES
