"""A trial: every run of a scale for a few steps, in folders of its own, and marked as one."""

import pytest

from longdream.experiments.scales import Choice, plan, read_scale
from longdream.experiments.tables import TABLES
from longdream.experiments.trial import trial


@pytest.mark.parametrize("scale", ["tiny", "small", "paper"])
@pytest.mark.parametrize("name", TABLES)
def test_a_trial_is_of_the_same_models_and_data_and_short(tmp_path, name, scale):
    whole = read_scale(scale)
    choice = Choice(tmp_path / "runs", tmp_path / "data")
    full, short = (plan(each, name, choice) for each in (whole, trial(whole, 3)))
    assert {key: data.collect for key, data in short.data.items()} == {k: d.collect for k, d in full.data.items()}
    assert len(short.seeds) == 1
    for run in short.runs():
        ours, theirs = (config.options(run.model, run.data) for config in (short, full))
        cut = {"steps", "validation_episodes", "log_every"}
        assert {key: value for key, value in ours.items() if key not in cut} == {
            key: value for key, value in theirs.items() if key not in cut
        }
        assert short.steps_of(run) == 3
        assert short.stops(run) == [3]
        assert short.asked(run, 3)["episodes"] <= 4 >= ours["validation_episodes"]
    assert "its figures say nothing" in trial(whole, 3).not_comparable


def test_no_step_is_no_trial():
    with pytest.raises(ValueError, match="--steps 0: 1 or more"):
        trial(read_scale("tiny"), 0)
