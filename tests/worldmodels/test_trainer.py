"""The trainer on a toy data set: it learns, resumes to the bit, and stops cleanly."""

import json
import signal
import time

import numpy as np
import pytest
import torch

from longdream.datasets.loader import read_batch
from longdream.datasets.reader import EpisodeDataset
from longdream.datasets.samplers import Segment, Windows
from longdream.tests.worldmodels.trainer_toys import (
    FAMILIES,
    arguments,
    assert_same_run,
    finish,
    launch,
    metrics,
    train,
    wait_for,
)
from longdream.worldmodels import trainer
from longdream.worldmodels.checkpoint import latest, load_model
from longdream.worldmodels.device import spawned_seed
from longdream.worldmodels.families import build
from longdream.worldmodels.optim import build_optimizer, lr_factor, set_lr


def mean_picture_error(data):
    """The floor: squared error of the best constant picture on the validation episodes."""
    dataset = EpisodeDataset(data)
    images = np.stack([dataset.read("image", e)[1:] for e in dataset.split("validation")]) / 255
    return ((images - images.mean((0, 1))) ** 2).sum((2, 3, 4)).mean()


def test_it_learns_below_the_floor_of_a_constant_picture(toy_data, tmp_path):
    out = tmp_path / "run"
    assert train(toy_data, out, "--steps=400", "--validate-every=100", "--optim.lr=3e-3") == 0
    validation = metrics(out, "validation")
    assert [line["step"] for line in validation] == [100, 200, 300, 400]
    assert validation[-1]["reconstruction"] < 0.5 * mean_picture_error(toy_data)
    loaded = load_model(out)
    best = min(validation, key=lambda line: line["loss"])
    assert loaded.config["step"] == best["step"]
    assert loaded.path == out / "best"
    assert not loaded.model.training


def test_stopping_at_a_step_keeps_the_schedule_of_all_steps(toy_data, tmp_path):
    """In pieces, none of which ends at a validation or a checkpoint, it is the run that was never cut."""
    whole, pieces = tmp_path / "whole", tmp_path / "pieces"
    options = ["--steps=20", "--optim.schedule=cosine", "--optim.warmup=3", "--validate-every=8", "--save-every=100"]
    train(toy_data, whole, *options)
    train(toy_data, pieces, *options, "--stop-at=7")
    assert int(latest(pieces).name) == 7
    assert metrics(pieces, "validation") == []
    for stop in ("--stop-at=13", "--stop-at=0"):
        trainer.run(["--out", str(pieces), "--data", str(toy_data), "--resume", stop])
    assert_same_run(pieces, whole)


def test_resuming_is_never_having_stopped(toy_data, tmp_path):
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    options = ["--optim.schedule=constant", "--validate-every=4", "--save-every=5"]
    process = launch(toy_data, killed, "--steps=100000", *options)
    wait_for(lambda: latest(killed) is not None, process)
    process.kill()  # the log may go on a little after the checkpoint
    process.communicate()
    stopped = int(latest(killed).name)
    steps = f"--steps={stopped + 9}"
    train(toy_data, whole, steps, *options)
    assert trainer.run(["--out", str(killed), "--data", str(toy_data), "--resume", steps]) == 0
    assert metrics(killed)[-1]["step"] == stopped + 9
    assert_same_run(killed, whole)


def windows_by_hand(data, config, length, steps):
    """The losses of a TBTT run, from the definition: endless streams, cut, and the state handed on."""
    dataset = EpisodeDataset(data)
    episodes, rows = dataset.split("train"), config.batch_size
    epochs = [np.random.default_rng(np.random.SeedSequence(0, spawn_key=(epoch,))) for epoch in range(9)]
    order = np.concatenate([generator.permutation(episodes) for generator in epochs])
    streams = [tuple(Segment(int(e), 0, dataset.length(e)) for e in order[row::rows]) for row in range(rows)]
    torch.manual_seed(config.seed)
    model = build(config.world_model)
    optimizer = build_optimizer(model, config.optim)
    torch.manual_seed(spawned_seed(config.seed, 0))
    state, losses = None, []
    batch = read_batch(dataset, streams)
    for step in range(steps):
        set_lr(optimizer, lr_factor(step, config.steps, config.optim))
        loss = model(batch.window(step * length, (step + 1) * length), state)
        optimizer.zero_grad()
        loss.total.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), config.optim.clip)
        optimizer.step()
        state = loss.state
        losses.append(loss.total.item())
    return losses


@pytest.mark.parametrize("model", FAMILIES)
def test_windows_carry_the_state_and_resume_to_the_bit(toy_data, tmp_path, model):
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    options = ["--window=5", "--optim.schedule=constant", "--validate-every=4", "--save-every=3"]  # 12 steps an episode
    train(toy_data, whole, "--steps=9", *options, model=model)
    train(toy_data, parts, "--steps=4", *options, model=model)
    train(toy_data, parts, "--steps=9", "--resume", *options, model=model)
    assert_same_run(parts, whole)
    config = trainer.parse(arguments(toy_data, whole, "--steps=9", *options, model=model))
    losses = [line["loss"] for line in metrics(whole)]
    assert losses == pytest.approx(windows_by_hand(toy_data, config, 5, 9), rel=1e-5)


@pytest.mark.parametrize("model", FAMILIES)
def test_random_windows_are_beginnings_for_the_model(toy_data, tmp_path, model):
    """Each loss is that of the window alone, as if an episode began there: no state, and no action that led there."""
    options = ["--window=5", "--random-windows", "--optim.lr=1e-30"]  # what is learned is nothing
    train(toy_data, tmp_path / "run", "--steps=6", *options, model=model)
    config = trainer.parse(arguments(toy_data, tmp_path / "run", *options, model=model))
    dataset = EpisodeDataset(toy_data)
    episodes = dataset.split("train")
    sampler = Windows(episodes, [dataset.length(int(e)) for e in episodes], config.batch_size, config.seed, window=5)
    torch.manual_seed(config.seed)
    world_model = build(config.world_model)
    torch.manual_seed(spawned_seed(config.seed, 0))
    begins = 0
    for step, line in enumerate(metrics(tmp_path / "run")):
        batch = read_batch(dataset, sampler.batch(step))
        begins += int(batch.first[:, 0].sum())
        batch.first[:, 0] = True
        batch.action[:, 0] = 0
        assert line["loss"] == pytest.approx(world_model(batch, world_model.initial(4)).total.item(), rel=1e-5)
    assert begins < 8  # of 24 rows: most begin in the middle of an episode


def test_validation_is_the_same_for_windows_and_whole_trajectories(toy_data, tmp_path):
    """Before anything is learned, that is: losses of the two ways of training can be compared."""
    for out, window in (("whole", 0), ("windows", 5)):
        train(toy_data, tmp_path / out, "--steps=1", "--optim.lr=1e-30", f"--window={window}")
    assert metrics(tmp_path / "whole", "validation") == metrics(tmp_path / "windows", "validation")


def test_minutes_end_a_run_and_more_of_them_go_on(toy_data, tmp_path):
    def clocks():
        return [json.loads(line)["seconds"] for line in (out / "metrics.jsonl").read_text().splitlines()]

    out = tmp_path / "run"
    options = ["--steps=1000000", "--save-every=1000000", "--validate-every=1000000"]
    assert train(toy_data, out, *options, "--minutes=0.01") == 0
    step, first = metrics(out)[-1]["step"], clocks()
    assert first == sorted(first)
    assert first[-1] >= 0.6
    assert all(seconds < 0.6 for seconds in first[:-3])  # the last two are of the last step
    assert int(latest(out).name) == metrics(out, "validation")[-1]["step"] == step
    assert json.loads((latest(out) / "config.json").read_text())["seconds"] >= 0.6
    assert train(toy_data, out, *options, "--minutes=0.01", "--resume") == 0
    assert clocks() == first  # its time is over already
    assert train(toy_data, out, *options, "--minutes=0.02", "--resume") == 0
    assert clocks() == sorted(clocks())
    assert clocks()[: len(first)] == first
    assert clocks()[-1] >= 1.2
    assert clocks()[-4] < 1.2


def test_the_training_clock_does_not_count_validation_and_saving(toy_data, tmp_path, monkeypatch):
    monkeypatch.setattr(trainer.Trainer, "_validate", lambda self: time.sleep(0.2))
    monkeypatch.setattr(trainer.Trainer, "_save", lambda self: time.sleep(0.2))
    run = trainer.Trainer(
        trainer.parse(arguments(toy_data, tmp_path / "run", "--steps=3", "--validate-every=1", "--save-every=1"))
    )
    began = time.perf_counter()
    run.fit()
    assert 0 < run.clock.seconds <= time.perf_counter() - began - 6 * 0.2


def test_a_resumed_run_stays_the_same_run(toy_data, tmp_path):
    out = tmp_path / "run"
    train(toy_data, out, "--steps=2")
    before = (out / "config.json").read_bytes()
    for flag in ("--optim.lr=0.5", "--seed=3", "--batch-size=8", "--window=4", "--world-model.units=8"):
        with pytest.raises(ValueError, match=f"{flag.split('=')[0]} was .* cannot become"):
            trainer.run(["--data", str(toy_data), "--out", str(out), "--resume", flag])
    with pytest.raises(ValueError, match="--model s4wm-2d"):
        trainer.run(["--data", str(toy_data), "--out", str(out), "--resume", "--model", "s4wm-2d"])
    assert (out / "config.json").read_bytes() == before


def test_a_second_trainer_in_the_same_folder_is_refused(toy_data, tmp_path):
    out = tmp_path / "run"
    process = launch(toy_data, out, "--steps=100000", "--save-every=1")
    wait_for(lambda: latest(out) is not None, process)
    with pytest.raises(ValueError, match="another trainer is at work"):
        trainer.run(["--data", str(toy_data), "--out", str(out), "--resume", "--steps=100000"])
    process.kill()
    process.communicate()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_saves_and_says_how_to_go_on(toy_data, tmp_path, number):
    out = tmp_path / "run"
    process = launch(toy_data, out, "--steps=100000", "--save-every=100000", "--validate-every=100000")
    wait_for(lambda: (out / "metrics.jsonl").exists() and len(metrics(out)) >= 3, process)
    process.send_signal(number)
    output = finish(process, 128 + number)
    assert "--resume" in output
    assert "Traceback" not in output
    saved = json.loads((latest(out) / "config.json").read_text())["step"]
    assert saved == metrics(out)[-1]["step"]


def test_bfloat16_trains(toy_data, tmp_path):
    exact, low = tmp_path / "exact", tmp_path / "low"
    train(toy_data, exact, "--steps=5")
    finish(launch(toy_data, low, "--steps=5", "--precision=bf16"))  # Accelerate's precision is one for a process
    for a, b in zip(metrics(exact), metrics(low), strict=True):
        assert a["loss"] != b["loss"]
        assert b["loss"] == pytest.approx(a["loss"], rel=0.1)
