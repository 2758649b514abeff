"""An online run from its command line: what it does when, what it leaves, and that stopping it changes nothing."""

import json
import os
import shutil
import signal
from dataclasses import replace

import pytest
import torch

from longdream.datasets.reader import EpisodeDataset
from longdream.dreamer import cli, loop
from longdream.dreamer.command import parse
from longdream.dreamer.environments.catalogue import ONLINE
from longdream.dreamer.player import Player
from longdream.dreamer.replay import Replay
from longdream.dreamer.schedule import updates_due
from longdream.tests.dreamer.loop_toys import SMALL, arguments, assert_same_run, launch, learn, metrics
from longdream.tests.worldmodels.trainer_toys import finish, wait_for
from longdream.worldmodels.checkpoint import latest, load_model

OFTEN = ["--evaluate-every=80", "--save-every=60"]


def test_what_a_run_does_and_leaves(tmp_path, capsys):
    out = tmp_path / "run"
    assert learn(out, "--env-steps=200", "--length=3", "--train-ratio=8", *OFTEN) == 0
    assert "step 200 of 200" in capsys.readouterr().out
    lines = metrics(out)
    assert [line["step"] for line in lines] == list(range(20, 201, 20))
    for line in lines:
        assert line["updates"] == updates_due(line["step"], 40, 8, 32)
        assert ("loss" in line) == (line["updates"] > 0)
    assert {"return", "length", "success", "behaviour_entropy", "behaviour_return_scale"} <= lines[-1].keys()
    assert lines[-1]["length"] == 4
    assert lines[-1]["replay_steps"] == 200
    assert lines[-1]["episodes"] == 40  # of 5 observations each
    assert [line["step"] for line in metrics(out, "evaluation")] == [80, 160, 200]
    assert (out / "curve.png").stat().st_size > 1000
    assert [folder.name for folder in (out / "checkpoints").iterdir()] == ["0000000200"]
    assert load_model(out).config["step"] == 200
    assert json.loads((out / "config.json").read_text())["dreamer"]["options"]["length"] == 3
    replay = EpisodeDataset(out / "replay")
    assert replay.info.environment == "memory_len"
    assert sum(replay.length(e) for e in range(40)) == 200


def test_what_a_run_asks_of_its_parts(tmp_path, monkeypatch):
    """Chance acts in the prefill; every update has a batch of its own; evaluation plays elsewhere."""
    chances, batches, plays, samples = [], [], Player.play, Replay.sample

    def play(self, greedy=False, by_chance=False):
        chances.extend([] if greedy else [by_chance])
        return plays(self, greedy, by_chance)

    def sample(self, *asked):
        batches.append(asked)
        return samples(self, *asked)

    monkeypatch.setattr(Player, "play", play)
    monkeypatch.setattr(Replay, "sample", sample)
    run = loop.Loop(parse(arguments(tmp_path / "run", "--env-steps=100", "--length=3", "--starts=episode")))
    assert run.examination._envs.seed != run.player.envs.seed
    run.run()
    assert chances == [4 * turn < 40 for turn in range(25)]
    assert batches == [(4, 8, update, "episode") for update in range(updates_due(100, 40, 16, 32))]
    assert metrics(tmp_path / "run", "evaluation")[-1]["episodes"] == 4


def test_the_replay_is_bounded_and_a_data_set_is_sampled_with_it(tmp_path):
    first, bounded, plain, other = (tmp_path / name for name in ("first", "bounded", "plain", "other"))
    learn(first, "--env-steps=60", "--length=2")
    options = ["--env-steps=400", "--length=3", "--train-ratio=2", "--log-every=400"]
    learn(plain, *options)
    learn(bounded, *options, "--capacity=80")
    assert [metrics(out)[-1]["replay_steps"] for out in (plain, bounded)] == [400, pytest.approx(80, abs=40)]
    learn(other, "--env-steps=60", "--length=2", f"--replay={first / 'replay'}")
    assert metrics(other)[-1]["loss"] != metrics(first)[-1]["loss"]


def test_films_show_an_episode_and_change_nothing(tmp_path):
    without, films = tmp_path / "without", tmp_path / "films"
    options = ["--env-steps=80", "--length=3", "--evaluate-every=40"]
    learn(without, *options)
    learn(films, *options, "--films")
    assert len({path.stem for path in (films / "films").iterdir()}) == 2
    assert_same_run(films, without)


def test_bfloat16_acts_learns_and_goes_on(tmp_path):
    options = ["--length=3", "--precision=bf16"]
    finish(launch(tmp_path / "run", "--env-steps=60", *options))
    finish(launch(tmp_path / "run", "--env-steps=100", *options))
    assert metrics(tmp_path / "run")[-1]["loss"] > 0


def test_a_run_folder_has_one_trainer(tmp_path):
    config = parse(arguments(tmp_path / "run", "--length=3"))
    with loop.Loop(config).held, pytest.raises(ValueError, match="another trainer is at work"):
        loop.Loop(config)


def test_what_is_refused_leaves_nothing_in_the_way(tmp_path):
    first, out = tmp_path / "first", tmp_path / "out"
    learn(first, "--env-steps=60", "--length=2")
    with pytest.raises(
        ValueError, match=r"the world model of .*first is of other sizes than this run's: size mismatch"
    ):
        learn(out, "--env-steps=60", "--length=2", f"--checkpoint={first}", "--world-model.units=8")
    assert learn(out, "--env-steps=60", "--length=2", f"--checkpoint={first}") == 0


def test_a_damaged_checkpoint_is_one_line(tmp_path):
    out = tmp_path / "run"
    learn(out, "--env-steps=60", "--length=2")
    file = latest(out) / "dreamer.pt"
    file.write_bytes(file.read_bytes()[:1000])
    with pytest.raises(ValueError, match=r"dreamer.pt is damaged: remove .*0000000060"):
        learn(out, "--env-steps=80", "--length=2")


def test_stopping_changes_nothing(tmp_path, monkeypatch, capfd):
    """By a signal, at a step that is no multiple of anything, and by a kill, between two checkpoints."""
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    options = ["--env-steps=320", "--length=6", "--train-ratio=8", "--log-every=80", *OFTEN]
    learn(whole, *options)
    with monkeypatch.context() as patched:
        patched.setattr(Replay, "add", interrupted_at(100, Replay.add))
        assert learn(parts, *options) == 128 + signal.SIGINT
    assert "the same command goes on" in capfd.readouterr().out
    assert int(latest(parts).name) == 100
    assert torch.load(latest(parts) / "dreamer.pt", weights_only=True)["processes"][0]["outcomes"], "not logged yet"
    process = launch(parts, *options)
    wait_for(lambda: metrics(parts)[-1]["step"] >= 160, process)
    process.kill()
    process.communicate()
    assert int(latest(parts).name) in (120, 180, 240, 300, 320)
    learn(parts, *options)
    assert_same_run(parts, whole)


def interrupted_at(step, add):
    """`Replay.add`, at which Ctrl-C is pressed when it makes the replay hold so many steps."""

    def adds(self, steps, sides):
        add(self, steps, sides)
        if self.steps == step:
            os.kill(os.getpid(), signal.SIGINT)

    return adds


KINDS = {  # continuous actions, pictures, the RSSM, side arrays
    "distracting_memory": "rssm-tiny",
    "cartpole_swingup": "r2i-vector-tiny",
    "cartpole_pixels": "r2i-image-tiny",
    "cartpole": "rssm-vector-tiny",
}


@pytest.mark.parametrize("env", KINDS)
def test_every_kind_of_environment_goes_on_exactly(tmp_path, env, monkeypatch):
    monkeypatch.setitem(ONLINE, env, replace(ONLINE[env], max_steps=lambda options: 20))
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    options = ["--train-ratio=8", "--evaluate-every=48", "--log-every=24", "--evaluation-episodes=1"]
    options += ["--width=14"] if env == "distracting_memory" else []
    kind = {"env": env, "model": KINDS[env]}
    learn(whole, "--env-steps=96", *options, **kind)
    learn(parts, "--env-steps=48", *options, **kind)
    learn(parts, "--env-steps=96", *options, **kind)
    assert metrics(whole)[-1]["loss"] > 0
    assert_same_run(parts, whole)


def test_a_run_that_was_killed_before_it_had_saved_begins_afresh(tmp_path, monkeypatch):
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    options = ["--env-steps=60", "--length=2"]
    learn(whole, *options)

    def dies(self):
        self.replay.flush()
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(loop.Loop, "_save", dies)
        with pytest.raises(KeyboardInterrupt):
            learn(killed, *options)
    assert list((killed / "replay" / "shards").iterdir())
    learn(killed, *options)
    assert_same_run(killed, whole)


def test_a_world_model_and_a_data_set_are_taken_over(tmp_path):
    """With nothing learned, the world model stays that of the checkpoint; the data set is only read."""
    first, second = tmp_path / "first", tmp_path / "second"
    learn(first, "--env-steps=60", "--length=2")
    before = {p: p.read_bytes() for p in (first / "replay").rglob("*") if p.is_file()}
    still = ["--optim.lr=1e-30", "--seed=5", f"--checkpoint={first}", f"--replay={first / 'replay'}"]
    words = ["--env=memory_len", "--length=2", f"--out={second}", "--env-steps=60", *SMALL, *still]
    words = [word for word in words if not word.startswith("--world-model")]
    assert cli.run(words) == 0
    one, other = (load_model(out).model.state_dict() for out in (first, second))
    assert all(torch.equal(one[name], other[name]) for name in one)
    assert {p: p.read_bytes() for p in (first / "replay").rglob("*") if p.is_file()} == before
    shutil.rmtree(first / "checkpoints")  # it was needed at the beginning only
    assert cli.run([*words, "--env-steps=80"]) == 0


@pytest.mark.parametrize("log_every", [20, 1000])
def test_a_loss_that_is_not_finite_stops_the_run_before_it_is_saved(tmp_path, log_every):
    out = tmp_path / "run"
    with pytest.raises(ValueError, match=r"is not finite at environment step \d+.*last good checkpoint is .*00000000"):
        learn(out, "--env-steps=400", "--save-every=20", f"--log-every={log_every}", "--optim.lr=1e30")
    assert all(torch.isfinite(p).all() for p in load_model(out).model.parameters())


def test_minutes_end_a_run_and_more_of_them_go_on(tmp_path):
    out = tmp_path / "run"
    learn(out, "--minutes=0.005")
    first = load_model(out).config
    assert 0 < first["step"] < 100_000
    assert first["seconds"] >= 0.3
    assert metrics(out, "evaluation")[-1]["step"] == first["step"]
    learn(out, "--minutes=0.005")
    assert load_model(out).config["step"] == first["step"]  # its time is over already
    learn(out, f"--minutes={first['seconds'] / 60 + 0.002}")
    assert load_model(out).config["step"] > first["step"]
