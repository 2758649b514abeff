"""The command line: defaults of environment and model, one-line refusals, and going on with a run."""

import sys
from dataclasses import fields

import pytest

from longdream.dreamer import cli
from longdream.dreamer.behaviour import BehaviourConfig
from longdream.dreamer.command import parse
from longdream.dreamer.config import DreamerConfig
from longdream.dreamer.environments.catalogue import ONLINE
from longdream.dreamer.settings import SETTINGS, setting_of
from longdream.tests.dreamer.loop_toys import arguments, learn
from longdream.worldmodels.backbones.s5 import S5Config
from longdream.worldmodels.codecs.vectors import VectorConfig
from longdream.worldmodels.presets import PRESETS
from longdream.worldmodels.rssm import RSSMConfig


def asked(env, *more):
    return parse(["--env", env, "--out", "somewhere", *more])


def test_environment_and_model_choose_the_defaults():
    config = asked("memory_len", "--length=7")
    assert config.options.length == 7
    assert config.world_model.codec == VectorConfig(size=3, units=128, layers=2)
    assert config.world_model.actions == 2
    assert isinstance(config.world_model.backbone, S5Config)
    assert (config.policy_input, config.train_ratio, config.behaviour.units) == ("hidden", 128, 128)
    large = asked("memory_len", "--model=r2i-bsuite")
    assert (large.train_ratio, large.batch_length, large.behaviour.units) == (1024, 256, 512)
    assert (large.starts, large.prefill) == ("anywhere", 2_000)
    assert large.behaviour.imagine_every == 1
    assert large.behaviour_optim.lr == 3e-5
    assert config.behaviour_optim.eps == large.behaviour_optim.eps == 1e-5
    maze = setting_of("memory_maze_9x9", True)
    assert (maze.units, maze.layers, maze.lr, maze.entropy) == (1024, 4, 1e-4, 1e-3)
    assert setting_of("memory_maze_9x9", True, "r2i-image-tiny").entropy == 1e-3
    assert (config.behaviour.entropy, large.behaviour.entropy) == (0.1, 3e-4)
    assert setting_of("popgym_autoencode_easy", False).entropy == 0.01
    recurrent = asked("memory_len", "--model=rssm-vector-tiny", "--optim.lr=0.5")
    assert isinstance(recurrent.world_model, RSSMConfig)
    assert recurrent.policy_input == "output"  # x is h there
    assert recurrent.optim.lr == 0.5
    pictures = asked("cartpole_pixels")
    assert pictures.world_model.codec.size == 64
    assert pictures.model == "r2i-image-tiny"


def test_the_learning_rate_does_not_fall():
    """An offline preset's would: to zero at --env-steps, which may change when a run goes on."""
    assert PRESETS["r2i-tiny"].optim.schedule == "cosine"
    assert asked("cartpole_pixels", "--model=r2i-tiny").optim.schedule == "constant"


def test_rows_hold_what_is_to_be_remembered():
    """A row that begins anywhere holds one whole episode if it is as long as two."""
    short = asked("memory_len", "--length=5")
    assert (short.batch_size, short.batch_length, short.prefill, short.starts) == (16, 64, 2_000, "episode")
    longer = asked("memory_len", "--length=60")
    assert (longer.batch_size, longer.batch_length) == (8, 2 * 62)  # 1,024 steps at most
    assert (longer.prefill, asked("memory_len", "--length=500").prefill) == (60 * 62, 10_000)
    assert asked("memory_len", "--length=60", "--model=r2i-bsuite").batch_length == 256
    cue = asked("distracting_memory")
    assert (cue.batch_size, cue.batch_length, cue.policy_input) == (2, 2 * 250, "full")
    assert asked("discounting_chain").batch_length == 64  # the choice is observed to the end
    assert setting_of("popgym_repeat_previous_easy", False, episode=52).batch_length == 104
    assert setting_of("popgym_autoencode_hard", False, episode=312).batch_length == 624
    assert setting_of("memory_maze_9x9", True).batch_length > 1000
    assert setting_of("cartpole", False) == setting_of("dmc_walker_walk", False)


def test_what_environments_ask_for_is_recall2imagines():
    """Its published configurations: (train ratio, rows, their length, what the policy reads)."""
    asked_for = {
        "memory_len": (1024, 16, 256, "hidden"),
        "discounting_chain": (1024, 16, 256, "hidden"),
        "popgym_autoencode_easy": (64, 4, 1024, "hidden"),
        "dmc_walker_walk": (512, 4, 1024, "output"),
        "memory_maze_9x9": (64, 4, 1024, "full"),
        "atari_pong": (1024, 4, 1024, "output"),
    }
    for env, values in asked_for.items():
        found = setting_of(env, False, "r2i-bsuite")
        assert (found.train_ratio, found.batch_size, found.batch_length, found.policy_input) == values, env
    assert BehaviourConfig() == BehaviourConfig(512, 2, 15, 1, 1 - 1 / 333, 0.95, 3e-4, 0.99, 0.02)


def test_settings_name_presets():
    for setting in SETTINGS.values():
        assert setting.model in PRESETS


@pytest.mark.parametrize("env", [name for name, entry in ONLINE.items() if not (entry.slow or entry.extra)])
def test_every_environment_has_defaults_that_fit(env):
    config = asked(env)
    assert config.model == setting_of(env, images=env.endswith("_pixels")).model
    assert config.prefill >= config.batch_length


@pytest.mark.parametrize(
    "env", ["memory_len", "memory_maze_9x9", "distracting_memory", "two_rooms", "discounting_chain"]
)
def test_no_option_hides_a_field_of_the_run(env):
    own = {f.name for f in fields(ONLINE[env].options)}
    assert not own & {f.name for f in fields(DreamerConfig)}


def test_help_teaches(capsys):
    for words, expected in (([], "memory_maze_9x9"), (["--env", "memory_len"], "--length")):
        with pytest.raises(SystemExit) as raised:
            parse([*words, "--help"])
        assert raised.value.code == 0
        shown = capsys.readouterr().out
        assert expected in shown
        assert "replayed for every environment step" in shown


def test_wrong_input_is_one_line(tmp_path, capsys, monkeypatch):
    def refused(*words):
        monkeypatch.setattr(sys, "argv", ["train_dreamer.py", *words])
        with pytest.raises(SystemExit) as raised:
            cli.main()
        assert raised.value.code == 2
        error = capsys.readouterr().err
        assert "Traceback" not in error
        return error

    def fails(*words):
        error = refused(*words)
        assert error.count("\n") == 1
        return error

    out = str(tmp_path / "run")
    assert "--env is missing" in fails("--out", out)
    assert "perhaps you meant 'cartpole" in fails("--env", "cartpol", "--out", out)
    assert "r2i-vector-tiny" in fails("--env", "cartpole", "--model", "r2i-vector", "--out", out)
    assert "takes no vectors" in fails("--env", "cartpole", "--model", "r2i-image-tiny", "--out", out)
    assert "take a --model of images" in fails("--env", "cartpole_pixels", "--model", "rssm-vector-tiny", "--out", out)
    assert "--prefill 5: give 8" in refused(*arguments(out, "--prefill=5"))
    assert "--train-ratio must be 1 or more" in refused(*arguments(out, "--train-ratio=0"))
    assert "--minutes must be 0 or more" in refused(*arguments(out, "--minutes=-1"))
    assert "no checkpoint" in fails(*arguments(out, f"--checkpoint={tmp_path}"))
    assert "use 'output'" in fails(*arguments(out, "--policy-input=full", model="rssm-vector-tiny"))
    assert not (tmp_path / "run" / "checkpoints").exists()


def test_a_run_that_goes_on_stays_the_same_run(tmp_path):
    out = tmp_path / "run"
    learn(out, "--env-steps=20", "--length=3")
    before = (out / "config.json").read_bytes()
    for flag in ("--seed=3", "--length=4", "--behaviour.units=8", "--world-model.units=8"):
        with pytest.raises(ValueError, match=f"{flag.split('=')[0]} was .* cannot become"):
            parse(["--env", "memory_len", "--out", str(out), flag])
    for words, expected in ((["--env", "cartpole"], "is of memory_len"), (["--model", "rssm-bsuite"], "of r2i-vector")):
        with pytest.raises(ValueError, match=expected):
            parse([*words, "--out", str(out)])
    assert (out / "config.json").read_bytes() == before
    shorter = parse(["--out", str(out), "--env-steps=60"])
    assert (shorter.env, shorter.env_steps, shorter.options.length) == ("memory_len", 60, 3)
    other = parse(["--config", str(out / "config.json"), "--out", str(tmp_path / "other"), "--seed=8"])
    assert (other.seed, other.options.length, other.out) == (8, 3, tmp_path / "other")


def test_an_offline_run_is_not_gone_on_with(tmp_path):
    (tmp_path / "config.json").write_text('{"train": {}}')
    with pytest.raises(ValueError, match="is not of an online run"):
        parse(["--env", "cartpole", "--out", str(tmp_path)])
