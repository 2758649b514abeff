"""What is left of a sweep and what came out of it, read from run folders that no training made."""

import csv
import math

from longdream.experiments.progress import evaluated, progress, target_minutes, timed_step
from longdream.experiments.summary import STEPS, TIME, rows, values, write_summary
from longdream.tests.experiments.sweep_toys import pretend, sweep_of


def table(sweep):
    with (sweep.out / "summary.csv").open() as file:
        return list(csv.DictReader(file))


def test_the_slowest_is_known_once_every_run_is_through_its_steps(tmp_path):
    sweep = sweep_of(tmp_path, minutes="slowest")
    runs = sweep.runs()
    for run, seconds in zip(runs[:3], (60.0, 300.0, 90.0), strict=True):
        pretend(run, {40: seconds}, [40])
    assert target_minutes(sweep, "dm") is None
    pretend(runs[3], {40: 240.0}, [])
    assert target_minutes(sweep, "dm") is None  # trained, not evaluated
    pretend(runs[3], {40: 240.0}, [40])
    assert target_minutes(sweep, "dm") == 5
    assert timed_step(sweep, runs[1]) == 40  # the slowest itself is there
    assert timed_step(sweep, runs[0]) is None
    pretend(runs[0], {40: 60.0, 190: 299.9}, [40, 190])
    assert timed_step(sweep, runs[0]) is None
    pretend(runs[0], {40: 60.0, 200: 301.0}, [40])
    assert timed_step(sweep, runs[0]) is None  # trained, not evaluated
    pretend(runs[0], {40: 60.0, 200: 301.0}, [40, 200])
    assert timed_step(sweep, runs[0]) == 200
    assert target_minutes(sweep, "dm") == 5  # what came later does not move it
    assert progress(runs[0]) == (200, 301.0)


def test_a_row_is_the_mean_over_its_seeds(tmp_path):
    sweep = sweep_of(tmp_path, minutes=2)
    runs = sweep.runs()
    pretend(runs[0], {20: 30.0, 40: 60.0, 80: 126.0}, [40, 80], mse=100.0)
    pretend(runs[2], {20: 10.0, 40: 120.0}, [40], mse=300.0)
    steps, missing = rows(sweep, STEPS)
    assert values(steps) == [
        *("dm", "s4", 1234, "2 of 2", 40, 1.5, 300.0, 240.0, "140 340", 120.0, 0.75, 0.5, 500.0, 400.0, 0.625)
    ]
    assert values(missing)[:4] == ["dm", "rssm", "", "0 of 2"]
    timed, _ = rows(sweep, TIME)
    assert [(r.step, r.minutes, r.mse("generation")) for r in timed.results] == [(80, 2.1, 180.0), (40, 2.0, 340.0)]


def test_a_run_that_took_longer_is_not_compared_at_equal_time(tmp_path):
    sweep = sweep_of(tmp_path, minutes=2)
    pretend(sweep.runs()[0], {40: 600.0}, [40])
    pretend(sweep.runs()[1], {40: 125.0}, [40])  # within the slack
    assert [len(row.results) for row in rows(sweep, STEPS)] == [1, 1]
    assert [len(row.results) for row in rows(sweep, TIME)] == [0, 1]


def test_an_evaluation_that_was_asked_for_differently_does_not_count(tmp_path):
    sweep = sweep_of(tmp_path)
    pretend(sweep.runs()[0], {40: 60.0}, [40])
    assert evaluated(sweep, sweep.runs()[0], 40)
    other = sweep_of(tmp_path, evaluate={"episodes": 100})
    assert not evaluated(other, other.runs()[0], 40)


def test_the_files_say_what_is_missing(tmp_path):
    sweep = sweep_of(tmp_path, minutes=2)
    sweep.out.mkdir()
    write_summary(sweep)  # of nothing
    assert not (sweep.out / "generation.png").exists()
    pretend(sweep.runs()[0], {40: 60.0}, [40], mse=100.0)
    write_summary(sweep)
    lines = table(sweep)
    assert [(line["comparison"], line["model"], line["seeds"]) for line in lines] == [
        ("equal steps", "s4", "1 of 2"),
        ("equal steps", "rssm", "0 of 2"),
        ("equal time", "s4", "0 of 2"),
        ("equal time", "rssm", "0 of 2"),
    ]
    assert float(lines[0]["generation MSE"]) == 140
    text = (sweep.out / "summary.md").read_text()
    assert "| s4 | 1,234 | 1 of 2 | 40 | 1 | 400 | 140 | 140 | 70 | 75 % | 50 % | 500 | 400 | 62.5 % |" in text
    assert text.count("| rssm | - | 0 of 2 |") == 2
    assert (sweep.out / "generation.png").read_bytes()[:4] == b"\x89PNG"


def test_a_reward_that_no_episode_has_is_no_number(tmp_path):
    sweep = sweep_of(tmp_path, seeds=[0])
    pretend(sweep.runs()[0], {40: 60.0}, [40])
    row = rows(sweep, STEPS)[0]
    row.results[0].measured["reward"]["majority_class"] = None
    assert math.isnan(values(row)[-1])
