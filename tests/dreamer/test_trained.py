"""A trained agent read from its run, and `longdream play`."""

import json
from contextlib import closing

import pytest

from longdream.dreamer import play
from longdream.dreamer.command import parse
from longdream.dreamer.environments.catalogue import ONLINE
from longdream.dreamer.environments.vector import Envs
from longdream.dreamer.episodes import Outcome, summary
from longdream.dreamer.evaluation import Examination
from longdream.dreamer.loop import EXAMINATION
from longdream.dreamer.play import main, report
from longdream.dreamer.trained import Trained, load_trained
from longdream.tests.dreamer.loop_toys import learn, metrics
from longdream.worldmodels.device import spawned_seed


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    out = tmp_path_factory.mktemp("trained") / "run"
    learn(out, "--env-steps=120", "--length=5", "--evaluate-every=120")
    return out


@pytest.mark.parametrize(("env", "more"), [("memory_len", ["--length=5"]), ("cartpole", []), ("cartpole_swingup", [])])
def test_it_acts_as_the_run_did(tmp_path, env, more):
    """Discrete and continuous: the episodes of the run's last evaluation, played again, come out the same."""
    learn(tmp_path / "run", "--env-steps=120", "--seed=3", *more, env=env)
    trained = load_trained(tmp_path / "run")
    seed = spawned_seed(3, 0, EXAMINATION)
    with closing(Envs(ONLINE[env], trained.config.options, 4, seed)) as envs:
        played = Examination(envs, 4, ONLINE[env].success, seed)(trained.mind)
    last = metrics(tmp_path / "run", "evaluation")[-1]
    found = summary(played.outcomes)
    assert found == {name: last[name] for name in found}
    assert trained.step == last["step"] == 120


def test_play_prints_agent_and_chance(run, capsys):
    main([str(run), "--episodes", "6", "--film", str(run / "film.png")])
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "memory_len, r2i-vector-tiny, after 120 steps: 6 episodes, seed 0"
    assert [line.split()[0] for line in lines[1:]] == ["agent", "return", "length", "success", str(run / "film.png")]
    assert lines[3].split() == ["length", *2 * ["6", "±", "0"]]
    assert (run / "film.png").stat().st_size > 1000


def test_episodes_are_others_than_the_runs_and_the_same_again(run, capsys):
    tables = []
    for seed in ("0", "0", "1"):
        main([str(run), "--episodes", "40", "--seed", seed])
        tables.append(capsys.readouterr().out.splitlines()[1:])
    assert tables[0] == tables[1] != tables[2]


def test_another_length_is_played(run, capsys):
    main([str(run), "--episodes", "2", "--length", "9"])
    assert capsys.readouterr().out.splitlines()[3].split() == ["length", *2 * ["10", "±", "0"]]


def test_means_have_their_standard_errors():
    agent = [Outcome(1.0, 4, True), Outcome(0.0, 2, False)]
    chance = [Outcome(-1.0, 3, False), Outcome(-1.0, 3, False)]
    lines = [line.split() for line in report(agent, chance)]
    assert lines == [
        ["agent", "chance"],
        ["return", "0.5", "±", "0.5", "-1", "±", "0"],
        ["length", "3", "±", "1", "3", "±", "0"],
        ["success", "0.5", "±", "0.5", "0", "±", "0"],
    ]
    assert report([Outcome(2.0, 4, None)], [Outcome(1.0, 4, None)])[1:] == [
        "  return                     2                   1",
        "  length                     4                   4",
    ]


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (["--device", "cuda:99"], "cuda:99"),
        (["--length", "0"], "length"),
    ],
)
def test_what_is_wrong_is_said_in_a_line(run, capsys, wrong, said):
    with pytest.raises(SystemExit) as end:
        main([str(run), *wrong])
    error = capsys.readouterr().err
    assert end.value.code == 2
    assert error.startswith("play: ")
    assert said in error
    assert error.count("\n") == 1


def test_what_is_no_trained_agent_is_refused(run, tmp_path, capsys):
    checkpoint = run / "checkpoints" / "0000000120"
    offline = tmp_path / "offline"
    offline.mkdir()
    (offline / "model.safetensors").write_bytes((checkpoint / "model.safetensors").read_bytes())
    content = json.loads((checkpoint / "config.json").read_text())
    del content["dreamer"]
    (offline / "config.json").write_text(json.dumps(content))
    for folder, said in ((tmp_path, "holds no checkpoint"), (offline, "not of an online run")):
        with pytest.raises(SystemExit):
            main([str(folder)])
        assert said in capsys.readouterr().err


def test_other_observations_are_refused(monkeypatch, capsys):
    config = parse(["--env", "two_rooms", "--model", "r2i-image-tiny", "--out", "somewhere"])
    monkeypatch.setattr(play, "load_trained", lambda path, device: Trained(None, config, 0))
    with pytest.raises(SystemExit) as end:
        main(["somewhere", "--size", "32"])
    assert end.value.code == 2
    assert capsys.readouterr().err == "play: the model has image size 64, two_rooms with these options has 32\n"
