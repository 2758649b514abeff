"""The trainer on a toy data set: it learns, resumes to the bit, stops cleanly, and runs as two processes."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch

from longdream.datasets.loader import read_batch
from longdream.datasets.reader import EpisodeDataset
from longdream.datasets.samplers import Sampler, Segment, Streams, WholeTrajectories, Windows
from longdream.worldmodels import trainer
from longdream.worldmodels.checkpoint import latest, load_model
from longdream.worldmodels.device import spawned_seed
from longdream.worldmodels.families import build
from longdream.worldmodels.optim import build_optimizer, lr_factor, set_lr
from longdream.worldmodels.presets import PRESETS

ROOT = Path(trainer.__file__).resolve().parents[1]
SMALL = [
    "--world-model.codec.stages=2",
    "--world-model.codec.multiplier=4",
    "--world-model.latent.variables=4",
    "--world-model.latent.classes=4",
    "--world-model.units=16",
    "--world-model.loss.reward=1",
    "--batch-size=4",
    "--optim.warmup=5",
    "--cpu-threads=1",
    "--device=cpu",
    "--log-every=1",
]
FAMILIES = {  # what is small in each
    "s4wm-tiny": [
        "--world-model.backbone.blocks=1",
        "--world-model.backbone.width=16",
        "--world-model.backbone.mlp=16",
        "--world-model.backbone.state=8",
    ],
    "rssm-tiny": ["--world-model.width=16"],
    "tssm-xl-tiny": [],
}


def arguments(data, out, *more, model="s4wm-tiny"):
    return ["--data", str(data), "--model", model, "--out", str(out), *SMALL, *FAMILIES[model], *more]


def metrics(out, kind="train"):
    lines = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    timing = ("frames_per_second", "seconds", "peak_memory_gb")
    return [{k: v for k, v in line.items() if k not in timing} for line in lines if line["kind"] == kind]


def train(data, out, *more, **model):
    return trainer.run(arguments(data, out, *more, **model))


def assert_same_run(one, other):
    for kind in ("train", "validation"):
        assert metrics(one, kind) == metrics(other, kind)
    a, b = (load_model(latest(out)).model.state_dict() for out in (one, other))
    assert all(torch.equal(a[name], b[name]) for name in a)


def launch(data, out, *more, processes=1, script=ROOT / "train_wm.py", **model):
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", str(processes)]
    command = command if processes > 1 else [sys.executable]
    environment = os.environ | {"ACCELERATE_USE_CPU": "true", "OMP_NUM_THREADS": "1", "PYTHONFAULTHANDLER": "1"}
    return subprocess.Popen(
        [*command, str(script), *arguments(data, out, *more, **model)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=environment,
        start_new_session=True,
    )


def finish(process, status=0, timeout=120):
    """Wait for the end; what does not end in time is aborted, whose stack dump is then part of the failure."""
    try:
        output, _ = process.communicate(timeout=timeout)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGABRT)
        output, _ = process.communicate(timeout=30)
    assert process.returncode == status, output
    return output


def wait_for(condition, process, seconds=90):
    deadline = time.monotonic() + seconds
    while not condition():
        assert process.poll() is None, process.communicate()[0]
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.01)


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


def test_two_processes_train_as_one(toy_data, tmp_path):
    out, again = tmp_path / "run", tmp_path / "again"
    options = ["--steps=8", "--validate-every=4", "--save-every=4"]
    output = finish(launch(toy_data, out, *options, processes=2))
    assert "on cpu x 2" in output
    finish(launch(toy_data, again, *options, processes=2))
    assert metrics(out) == metrics(again)
    assert len(torch.load(latest(out) / "trainer.pt", weights_only=True)["generators"]) == 2
    single = tmp_path / "single"
    train(toy_data, single, *options)
    # the same episodes and weights, other latents: close, not equal
    for two, one in zip(metrics(out), metrics(single), strict=True):
        assert two["reconstruction"] == pytest.approx(one["reconstruction"], rel=0.2)
    for two, one in zip(metrics(out, "validation"), metrics(single, "validation"), strict=True):
        assert two["loss"] == pytest.approx(one["loss"], rel=0.2)


def test_two_processes_keep_the_same_weights(toy_data, tmp_path):
    """Gradients are averaged: ranks that train apart would drift apart, each as reproducible as ever."""
    script = tmp_path / "compare.py"
    script.write_text(
        "import sys, torch\n"
        "from accelerate.utils import gather_object\n"
        "from longdream.worldmodels.leave import leave\n"
        "from longdream.worldmodels.trainer import Trainer, parse\n"
        "trainer = Trainer(parse(sys.argv[1:]))\n"
        "trainer.fit()\n"
        "sums = gather_object([[p.double().sum().item() for p in trainer.unwrapped.parameters()]])\n"
        "draws = gather_object([torch.rand(1).item()])\n"
        "trainer.accelerator.print(len(sums), 'equal' if sums[0] == sums[1] else 'apart', draws[0] != draws[1])\n"
        "trainer.accelerator.wait_for_everyone()\n"
        "leave(0)\n"
    )
    output = finish(launch(toy_data, tmp_path / "run", "--steps=4", processes=2, script=script))
    assert "2 equal True" in output  # and latents are drawn differently


ORDERS = {  # a way of training by each sampler
    WholeTrajectories: ["--window=0"],
    Streams: ["--window=5"],
    Windows: ["--window=5", "--random-windows"],
}


def test_no_sampler_is_left_out():
    assert {kind for kind in Sampler.__subclasses__() if kind.__module__ == Sampler.__module__} == set(ORDERS)


@pytest.mark.parametrize("kind", ORDERS, ids=lambda kind: kind.__name__)
def test_two_processes_resume_to_the_bit(toy_data, tmp_path, kind):
    """Each process has a generator of its own, and in streams a state of its own too, to go on from."""
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    options = [*ORDERS[kind], "--validate-every=3", "--save-every=3", "--optim.schedule=constant"]
    settings = {"processes": 2, "model": "rssm-tiny"}
    finish(launch(toy_data, whole, "--steps=6", *options, **settings))
    finish(launch(toy_data, parts, "--steps=3", *options, **settings))
    carries = torch.load(latest(parts) / "trainer.pt", weights_only=True)["carries"]
    if kind is Streams:
        assert [[len(leaf) for leaf in leaves] for leaves in carries] == [[2, 2]] * 2  # two rows each of h and z
        assert not torch.equal(carries[0][0], carries[1][0])
    else:
        assert carries == []
    finish(launch(toy_data, parts, "--steps=6", "--resume", *options, **settings))
    assert_same_run(parts, whole)
    with pytest.raises(ValueError, match="saved by 2 processes"):
        train(toy_data, parts, "--steps=9", "--resume", *options, model="rssm-tiny")


def test_bfloat16_trains(toy_data, tmp_path):
    exact, low = tmp_path / "exact", tmp_path / "low"
    train(toy_data, exact, "--steps=5")
    finish(launch(toy_data, low, "--steps=5", "--precision=bf16"))  # Accelerate's precision is one for a process
    for a, b in zip(metrics(exact), metrics(low), strict=True):
        assert a["loss"] != b["loss"]
        assert b["loss"] == pytest.approx(a["loss"], rel=0.1)


@pytest.mark.filterwarnings("ignore:.*no supported trackers")
def test_a_tracker_that_is_not_installed_is_said(toy_data, tmp_path, monkeypatch):
    monkeypatch.setattr("accelerate.accelerator.filter_trackers", lambda *_: [])  # what accelerate then does
    with pytest.raises(ValueError, match=r"pip install 'longdream\[wandb\]'"):
        train(toy_data, tmp_path / "run", "--steps=1", "--tracker=wandb")


def test_a_large_model_on_a_cpu_is_announced_with_its_time(toy_data, tmp_path, capsys, monkeypatch):
    train(toy_data, tmp_path / "quiet", "--steps=3")
    assert "hours" not in capsys.readouterr().out
    monkeypatch.setattr(trainer, "LARGE", 0)
    train(toy_data, tmp_path / "run", "--steps=3")
    assert "hours" in capsys.readouterr().out
    assert metrics(tmp_path / "run") == metrics(tmp_path / "quiet")  # the estimate draws nothing


def test_memory_for_less_than_a_batch_is_announced_and_changes_nothing(toy_data, tmp_path, capsys):
    losses = []
    for gigabytes in (1, 1e-6, 0):
        out = tmp_path / f"run{gigabytes}"
        train(toy_data, out, "--steps=4", "--window=5", f"--cache-gb={gigabytes}")
        losses.append(metrics(out))
        assert ("less than one batch" in capsys.readouterr().out) == (gigabytes < 1)
    assert losses[0] == losses[1] == losses[2]


def test_a_loss_that_is_not_finite_stops_the_run(toy_data, tmp_path):
    out = tmp_path / "run"
    with pytest.raises(ValueError, match=r"not finite at step \d+ .*last good checkpoint is .*0000000[1-9]"):
        train(toy_data, out, "--steps=500", "--save-every=1", "--optim.lr=1e30", "--optim.warmup=4")
    assert all(torch.isfinite(p).all() for p in load_model(latest(out)).model.parameters())


def test_wrong_input_is_one_line(toy_data, tmp_path, capsys, monkeypatch):
    def refused(*argv):
        monkeypatch.setattr(sys, "argv", ["train_wm.py", *argv])
        with pytest.raises(SystemExit) as raised:
            trainer.main()
        assert raised.value.code == 2
        error = capsys.readouterr().err
        assert "Traceback" not in error
        return error

    def fails(*argv):
        error = refused(*argv)
        assert error.count("\n") == 1
        return error

    data, out = str(toy_data), tmp_path / "run"
    assert "no model 's5'" in fails("--data", data, "--out", str(out), "--model", "s5")
    assert "no preset for images of 8 pixels" in fails("--data", data, "--out", str(out), "--model", "s4wm")
    assert "no folder" in fails("--data", str(tmp_path / "nothing"), "--out", str(out))
    assert "no run to resume" in fails(*arguments(data, out, "--resume"))
    assert "actions 5" in fails(*arguments(data, out, "--world-model.actions=5"))
    assert "--window must be 0 or more, not -1" in refused(*arguments(data, out, "--window=-1"))
    for value in ("-1", "inf", "nan"):
        assert f"--cache-gb must be 0 or more, not {value}" in refused(*arguments(data, out, f"--cache-gb={value}"))
    assert "--random-windows needs --window" in refused(*arguments(data, out, "--random-windows"))
    assert "--steps must be 1" in refused(*arguments(data, out, "--steps=0"))
    assert "multiple" in refused(*arguments(data, out, "--world-model.codec.stages=4"))
    assert not out.exists()
    train(data, out, "--steps=1")
    before = (out / "metrics.jsonl").read_bytes()
    capsys.readouterr()
    assert "add --resume" in fails(*arguments(data, out))
    assert (out / "metrics.jsonl").read_bytes() == before


def test_a_full_disk_is_said_before_anything_starts(toy_data, tmp_path, monkeypatch):
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=1000))
    with pytest.raises(ValueError, match="GB free"):
        train(toy_data, tmp_path / "run", "--steps=1")


def test_a_saved_config_can_start_another_run(toy_data, tmp_path):
    train(toy_data, tmp_path / "a", "--steps=2", "--optim.lr=0.005")
    config = str(tmp_path / "a" / "config.json")
    trainer.run(["--config", config, "--data", str(toy_data), "--out", str(tmp_path / "b"), "--steps=1"])
    saved = json.loads((tmp_path / "b" / "config.json").read_text())
    assert saved["train"]["optim"]["lr"] == 0.005
    assert saved["train"]["steps"] == 1
    assert saved["provenance"]["data_hash"].startswith("sha256:")


def test_another_checkpoint_format_is_refused(toy_data, tmp_path):
    train(toy_data, tmp_path / "run", "--steps=1")
    config = tmp_path / "run" / "best" / "config.json"
    saved = json.loads(config.read_text())
    for found, mend in ((1, "train again"), (99, "update longdream")):
        config.write_text(json.dumps(saved | {"format": found}))
        with pytest.raises(ValueError, match=f"format {found}.*{mend}"):
            load_model(tmp_path / "run")


def test_damaged_weights_are_named(toy_data, tmp_path):
    train(toy_data, tmp_path / "run", "--steps=1")
    weights = tmp_path / "run" / "best" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-10])
    with pytest.raises(ValueError, match=r"model\.safetensors does not fit"):
        load_model(tmp_path / "run")
    with pytest.raises(ValueError, match="holds no checkpoint"):
        load_model(tmp_path)


def test_the_paper_presets_steps_are_the_papers():
    assert PRESETS["s4wm-2d"].steps == 100 * 8000 // 8  # epochs x training episodes / batch
    assert PRESETS["s4wm-3d"].steps == pytest.approx(57 * 28_000 / 8, rel=0.01)
