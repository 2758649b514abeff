"""What a sweep shows while it works."""

import pytest

from longdream.experiments import watch
from longdream.experiments.schedule import Deadline
from longdream.experiments.watch import Watch
from longdream.tests.experiments.sweep_toys import pretend, sweep_of


def test_the_time_left_goes_by_the_average_and_the_last_look_is_at_the_end(tmp_path, monkeypatch):
    """Steps of 10 s, looked at every second: a look at which a step has ended is no step of a second."""
    config = sweep_of(tmp_path, steps=40)
    run, now = config.runs()[0], 1000.0
    pretend(run, {20: 1.0, 21: 2.0, 22: 3.0}, [])  # the first and the last line may be cut off
    monkeypatch.setattr(watch, "PACE", 0.0)
    monkeypatch.setenv("TQDM_MININTERVAL", "0.1")  # as on a terminal
    with Watch(config, Deadline()) as shown:
        monkeypatch.setattr(shown.bar, "_time", lambda: now)
        shown.bar.start_t = shown.bar.last_print_t = now
        assert shown.bar.n == 21
        for second in range(10):
            now += 1.0
            if second == 9:
                pretend(run, {20: 1.0, 22: 2.0, 23: 3.0}, [])
            shown.look([run.name])
        found = shown.bar.format_dict
        rate = found["rate"] or (found["n"] - found["initial"]) / found["elapsed"]
        assert rate == pytest.approx(0.1)
        pretend(run, {20: 1.0, 25: 2.0, 26: 3.0}, [])
    assert shown.bar.n == 25
