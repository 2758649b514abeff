"""`longdream curves`: which runs belong together, what chance earned, and what is written of them."""

import json

import pytest

from longdream.dreamer.compare import chance, grouped, markdown, read_run, where_from
from longdream.dreamer.compare_cli import CompareArguments, compare, main
from longdream.dreamer.compare_picture import save_span, spanned
from longdream.tests.dreamer.loop_toys import learn

COMMIT = 40 * "a"


def make_run(
    folder, seed=0, length=5, model="r2i-vector-tiny", ends=(0.5, 1.0), options=None, chance=(), command="x", more=()
):
    """Write what a run leaves: evaluations at steps 100, 200, ... and, in its prefill of 50, what chance played."""
    folder.mkdir(parents=True)
    options = {"type": "MemoryLenOptions", "length": length} if options is None else options
    settings = {"env": "memory_len", "options": options, "model": model, "seed": seed, "env_steps": 200, "prefill": 50}
    settings |= dict(more)
    origin = {"command": command, "commit": COMMIT, "hardware": {"processor": "a core", "gpus": []}}
    (folder / "config.json").write_text(json.dumps({"dreamer": settings, "provenance": origin}))
    played = [
        {"kind": "train", "step": 25 * (place + 1), "return": value, "success": (value + 1) / 2, "episodes": episodes}
        for place, (value, episodes) in enumerate(chance)
    ]
    trained = {"kind": "train", "step": 90, "return": 1.0, "success": 1.0, "episodes": 1000, "updates": 7}
    evaluated = [
        {"kind": "evaluation", "step": 100 * (place + 1), "return": 2 * end - 1, "success": end, "seconds": 60.0}
        for place, end in enumerate(ends)
    ]
    (folder / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in [*played, trained, *evaluated]))
    return folder


def test_chance_is_weighed_by_episodes_and_ends_with_the_prefill(tmp_path):
    groups = grouped([read_run(make_run(tmp_path / "run", chance=[(-1.0, 1), (0.5, 4)]))])
    assert chance(groups, "return") == pytest.approx((-1.0 + 3 * 0.5) / 4)


def test_chance_is_that_of_all_runs_of_a_task(tmp_path):
    models = {"r2i-vector-tiny": [(-1.0, 1)], "rssm-vector-tiny": [(1.0, 3)]}
    runs = [make_run(tmp_path / model, model=model, chance=played) for model, played in models.items()]
    assert markdown(grouped(list(map(read_run, runs))))[-1].endswith("| *0.5* | *75.0 %* |")


def test_a_prefill_without_the_end_of_an_episode_has_no_chance(tmp_path):
    groups = grouped([read_run(make_run(tmp_path / "run"))])
    assert chance(groups, "return") is None
    assert "*chance (floor)* | | | | | - | - |" in markdown(groups)[-1]


def test_runs_that_differ_by_their_seed_are_one_row(tmp_path):
    runs = [make_run(tmp_path / f"{seed}", seed, ends=(0.0, end)) for seed, end in ((1, 0.9), (0, 1.0))]
    runs.append(make_run(tmp_path / "other", model="rssm-vector-tiny"))
    groups = grouped(list(map(read_run, runs)))
    assert [[run.seed for run in group.runs] for group in groups] == [[0, 1], [0]]
    rows = markdown(groups)
    assert rows[2].startswith("| memory_len, length 5 | r2i-vector-tiny | 2 | 200 | 7 | 1.0 |")
    assert rows[2].endswith("| 95.0 % ± 7.1 |")
    assert len(rows) == 5, "one line for the chance of both models' task"


def test_runs_that_were_asked_for_something_else_are_another_row(tmp_path):
    commands = [
        "train_dreamer.py --env memory_len --length 5 --seed 0 --envs 4 --out runs/a --no-films",
        "train_dreamer.py --batch-length 64 --env memory_len --length 5 --seed 0 --envs 4 --out runs/b",
        "train_dreamer.py --seed=1 --envs=4 --env memory_len --batch_length=64 --out runs/c",
    ]
    lengths = (128, 64, 64)
    runs = [
        make_run(tmp_path / str(place), place // 2, command=command, more={"batch_length": length, "envs": 4})
        for place, (command, length) in enumerate(zip(commands, lengths, strict=True))
    ]
    groups = grouped(list(map(read_run, runs)))
    assert {group.model: [run.seed for run in group.runs] for group in groups} == {
        "r2i-vector-tiny": [0],
        "r2i-vector-tiny --batch-length 64": [0, 1],
    }
    assert [group.model for group in grouped([read_run(runs[1])])] == ["r2i-vector-tiny"], "nothing to tell apart"


def test_runs_of_other_defaults_are_not_averaged(tmp_path):
    """As of a commit that had others, or of another --config: their commands are the same."""
    runs = [
        make_run(tmp_path / str(rate), seed, more={"optim": {"lr": rate, "clip": 1.0}, "evaluate_every": seed})
        for seed, rate in enumerate((0.1, 0.2))
    ]
    groups = grouped(list(map(read_run, runs)))
    assert [group.model for group in groups] == ["r2i-vector-tiny optim.lr 0.1", "r2i-vector-tiny optim.lr 0.2"]


def test_a_curve_holds_the_steps_that_all_seeds_have_reached(tmp_path):
    runs = [make_run(tmp_path / "0", 0, ends=(0.1, 0.2, 0.3)), make_run(tmp_path / "1", 1, ends=(0.4,))]
    steps, values = grouped(list(map(read_run, runs)))[0].curve("success")
    assert steps.tolist() == [100]
    assert values.tolist() == [[0.1], [0.4]]


def test_lengths_are_in_the_order_of_numbers(tmp_path):
    runs = [read_run(make_run(tmp_path / str(length), length=length)) for length in (50, 5, 10)]
    assert [dict(group.task.options)["length"] for group in grouped(runs)] == [5, 10, 50]


def test_the_same_seed_twice_is_refused(tmp_path):
    runs = [read_run(make_run(tmp_path / name)) for name in ("a", "b")]
    with pytest.raises(ValueError, match=r"a and .*b are of the same task, model, settings and seed"):
        grouped(runs)


def test_a_run_that_is_not_through_is_said(tmp_path):
    groups = grouped([read_run(make_run(tmp_path / "run", ends=(0.5,)))])
    assert where_from(groups).startswith("a core; runs begun with commit aaaaaaa.")
    assert "1 of 1 runs have not come to their last step" in where_from(groups)


@pytest.mark.parametrize(
    ("options", "found"),
    [
        ([{"length": 5, "bits": 1}, {"length": 9, "bits": 1}], "length"),
        ([{"length": 5, "bits": 1}, {"length": 9, "bits": 2}], None),
        ([{"length": 5}, {"length": 5}], None),
        ([{"length": "a"}, {"length": "b"}], None),
    ],
)
def test_tasks_are_in_a_row_where_one_number_differs(tmp_path, options, found):
    runs = [read_run(make_run(tmp_path / str(place), place, options=o)) for place, o in enumerate(options)]
    groups = grouped(runs)
    assert spanned(groups) == found
    assert save_span(groups, tmp_path / "span.png") == (tmp_path / "span.png").exists() == (found is not None)


def test_files_are_written_for_a_real_run(tmp_path, capsys):
    learn(tmp_path / "3", "--length", "3", "--env-steps", "80", "--evaluate-every", "40")
    make_run(tmp_path / "4", length=4)
    compare(CompareArguments((tmp_path / "3", tmp_path / "4"), tmp_path / "out"))
    assert "| memory_len, length 3 | r2i-vector-tiny | 1 | 80 |" in capsys.readouterr().out
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"table.md", "curves.png", "span.png"}
    assert f"longdream curves {tmp_path}/* --out {tmp_path}/out" in (tmp_path / "out/table.md").read_text()


@pytest.mark.parametrize("content", [None, "{", '{"train": {}}', "[]"])
def test_what_is_no_online_run_is_one_line(tmp_path, content, capsys):
    (tmp_path / "run").mkdir()
    if content is not None:
        (tmp_path / "run" / "config.json").write_text(content)
    with pytest.raises(SystemExit) as left:
        main([str(tmp_path / "run"), "--out", str(tmp_path / "out")])
    assert left.value.code == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "holds no run of train_dreamer.py" in error
    assert not (tmp_path / "out").exists()


def test_a_run_before_its_first_evaluation_is_one_line(tmp_path, capsys):
    make_run(tmp_path / "run", ends=())
    with pytest.raises(SystemExit):
        main([str(tmp_path / "run")])
    assert "has no evaluation yet" in capsys.readouterr().err
