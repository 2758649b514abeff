"""A sweep's file: what it means, and what it may not say."""

from pathlib import Path

import pytest

import longdream
from longdream.experiments.commands import flags, train_command
from longdream.experiments.plan import read_sweep
from longdream.tests.experiments.sweep_toys import S4, SMALL, sweep_of, write_sweep


def test_the_example_is_a_sweep():
    sweep = read_sweep(Path(longdream.__file__).parent / "configs" / "compare_2d.yaml")
    assert len(sweep.runs()) == len(sweep.data) * len(sweep.models) * len(sweep.seeds) >= 12


def test_runs_are_every_combination_with_the_first_seed_first(tmp_path):
    runs = sweep_of(tmp_path).runs()
    assert [(run.model, run.seed) for run in runs] == [("s4", 0), ("rssm", 0), ("s4", 1), ("rssm", 1)]
    assert len({run.folder for run in runs}) == 4


def test_options_become_flags_and_a_models_own_win(tmp_path):
    options = {"optim.lr": "3e-4", "batch_size": 4, "a.some_flag": True, "b.other": False, "names": ["x", 2]}
    assert flags(options) == [
        *("--optim.lr=3e-4", "--batch-size=4", "--a.some-flag", "--b.no-other", "--names", "x", "2")
    ]
    sweep = sweep_of(tmp_path, models={"s4": S4 | {"batch_size": 2}})  # written batch-size in `train`
    command = train_command(sweep, sweep.runs()[0])
    assert [word for word in command if word.startswith("--batch")] == ["--batch-size=2"]
    assert "--steps=40" in command
    assert "--resume" not in command


def test_rounds_end_at_validations_and_the_last_at_the_last_step(tmp_path):
    sweep = sweep_of(tmp_path, rounds=[0.1, 0.5, 0.6, 1], steps=70, evaluate={"episodes": 9}, on_the_way={"seed": 1})
    run = sweep.runs()[0]
    assert sweep.stops(run) == [20, 40, 60, 70]  # validated every 20 steps; 0.5 and 0.6 are 35 and 42
    assert sweep.asked(run, 60) == {"episodes": 9, "seed": 1}
    assert sweep.asked(run, 70) == {"episodes": 9}
    assert {"--stop-at=40", "--steps=70"} <= set(train_command(sweep, run, stop_at=40))


def test_a_model_may_be_given_steps_of_its_own(tmp_path):
    """An RSSM that trains on windows needs more steps for as many epochs."""
    data = {"a": {"path": "a", "models": {"rssm": {"steps": 90}}}, "b": {"path": "b"}}
    sweep = sweep_of(tmp_path, data=data, rounds=[0.5, 1], seeds=[0])
    stops = {(run.data, run.model): sweep.stops(run) for run in sweep.runs()}
    assert stops == {("a", "s4"): [20, 40], ("a", "rssm"): [60, 90], ("b", "s4"): [20, 40], ("b", "rssm"): [20, 40]}
    assert "--steps=90" in train_command(sweep, sweep.runs()[1])


def test_a_model_may_be_given_more_on_some_data(tmp_path):
    more = {"a": {"path": "a", "models": {"s4": {"batch-size": 3}}}, "b": {"path": "b"}}
    sweep = sweep_of(tmp_path, data=more)
    sizes = {(run.data, run.model): sweep.options(run.model, run.data)["batch_size"] for run in sweep.runs()}
    assert sizes == {("a", "s4"): 3, ("a", "rssm"): 4, ("b", "s4"): 4, ("b", "rssm"): 4}


def test_minutes_are_trained_by_the_clock_and_a_run_that_is_there_goes_on(tmp_path):
    sweep = sweep_of(tmp_path, launch=["accelerate", "launch"])
    run = sweep.runs()[0]
    run.folder.mkdir(parents=True)
    (run.folder / "config.json").touch()
    command = train_command(sweep, run, minutes=2.5)
    assert command[:2] == ["accelerate", "launch"]
    assert {"--minutes=2.5", "--steps=1000000000", "--resume"} <= set(command)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"minutes": 3, "train": {}}, "models.s4 has a cosine schedule"),
        ({"minutes": "slowest", "train": {"optim.schedule": "cosine"}}, "cosine"),
        ({"minutes": "fastest"}, "minutes must be a number above 0 or 'slowest', not 'fastest'"),
        ({"minutes": 0}, "minutes must be"),
        ({"models": {"x": {"model": "s5000"}}}, "models.x: there is no model 's5000'"),
        ({"models": {"x": {}}}, "no model None"),
        ({"train": SMALL | {"cpu-threads": 4}}, "the sweep itself sets cpu_threads"),
        ({"seeds": []}, "seeds: a sweep needs at least one"),
        ({"seeds": 3}, r"seeds is 3; it must be a list such as \[0, 1\]"),
        ({"seeds": [1, 1]}, "names one twice"),
        ({"launch": "accelerate launch"}, "launch is 'accelerate launch'; it must be a list"),
        ({"evaluate": 200}, "evaluate is 200; it must map"),
        ({"evaluate": {"out": "x"}}, "evaluate: the sweep itself sets out"),
        ({"train": {"optim": {"schedule": "constant"}}}, "train.optim is nested"),
        ({"models": {"s4": "s4wm-tiny"}}, "models.s4 is 's4wm-tiny'; it must map"),
        ({"steps": 0}, "steps must be"),
        ({"rounds": [0.5]}, r"rounds is \[0.5\]; it must be a list of rising shares up to 1"),
        ({"rounds": [0.5, 0.5, 1]}, "rising shares"),
        ({"rounds": 0.5}, "rounds is 0.5"),
        ({"train": SMALL | {"steps": 7}}, "the sweep itself sets steps"),
        ({"on_the_way": {"out": "x"}}, "on_the_way: the sweep itself sets out"),
        ({"step": 3}, "unknown field 'step'"),
        ({"data": {"dm": {"path": "x", "colect": {}}}}, "unknown field data.dm.'colect'"),
        ({"data": {"dm": {"path": "x", "models": {"s5": {}}}}}, "data.dm.models names 's5'; models are s4"),
        ({"data": {"dm": "data/dm"}}, "data.dm is 'data/dm'; it needs a path"),
    ],
)
def test_what_cannot_be_compared_is_refused(tmp_path, changes, message):
    with pytest.raises(ValueError, match=message):
        read_sweep(write_sweep(tmp_path / "sweep.yaml", **changes))


def test_a_file_that_is_no_sweep_is_named(tmp_path):
    path = tmp_path / "broken.yaml"
    for text in ("a: [", "just words", "out: x"):
        path.write_text(text)
        with pytest.raises(ValueError, match=r"broken\.yaml is no"):
            read_sweep(path)
