"""A tiny online run: its command line, in this process or another, and what it left behind."""

import json
import os
import subprocess
import sys
from pathlib import Path

import torch

from longdream.dreamer import cli
from longdream.worldmodels.checkpoint import latest, load_model

ROOT = Path(cli.__file__).resolve().parents[1]
SMALL = [
    "--world-model.latent.variables=4",
    "--world-model.latent.classes=4",
    "--world-model.units=16",
    "--behaviour.units=16",
    "--behaviour.horizon=3",
    "--behaviour.imagine-every=2",
    "--envs=4",
    "--prefill=40",
    "--batch-size=4",
    "--batch-length=8",
    "--train-ratio=16",
    "--log-every=20",
    "--evaluation-episodes=4",
    "--no-films",
    "--cpu-threads=1",
    "--device=cpu",
]
R2I = ["--world-model.backbone.blocks=1", "--world-model.backbone.width=16", "--world-model.backbone.state=16"]
MODELS = {
    "r2i-vector-tiny": [*R2I, "--world-model.codec.units=16"],
    "rssm-vector-tiny": ["--world-model.width=16", "--world-model.codec.units=16"],
    "rssm-tiny": [],
    "r2i-image-tiny": [*R2I, "--world-model.codec.multiplier=2"],
}
TIMING = ("env_steps_per_second", "trained_steps_per_second", "seconds", "peak_memory_gb")


def arguments(out, *more, env="memory_len", model="r2i-vector-tiny"):
    return ["--env", env, "--model", model, "--out", str(out), *SMALL, *MODELS[model], *more]


def learn(out, *more, **kinds):
    return cli.run(arguments(out, *more, **kinds))


def metrics(out, kind="train"):
    lines = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    return [{k: v for k, v in line.items() if k not in TIMING} for line in lines if line["kind"] == kind]


def launch(out, *more, processes=1, script=ROOT / "train_dreamer.py", **kinds):
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", str(processes)]
    command = command if processes > 1 else [sys.executable]
    environment = os.environ | {"ACCELERATE_USE_CPU": "true", "OMP_NUM_THREADS": "1", "PYTHONFAULTHANDLER": "1"}
    return subprocess.Popen(
        [*command, str(script), *arguments(out, *more, **kinds)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=environment,
        start_new_session=True,
    )


def assert_same_run(one, other):
    """Weights, optimisers, counters, metrics and replay are equal to the bit."""
    for kind in ("train", "evaluation"):
        assert metrics(one, kind) == metrics(other, kind)
    a, b = (load_model(latest(out)).model.state_dict() for out in (one, other))
    assert all(torch.equal(a[name], b[name]) for name in a)
    saved = [torch.load(latest(out) / "dreamer.pt", weights_only=True) for out in (one, other)]
    assert_equal(*({k: v for k, v in state.items() if k != "seconds"} for state in saved))
    for name in ("replay", "replay-1"):  # the second of two processes has one of its own
        assert files_of(one / name) == files_of(other / name)


def files_of(folder):
    return {p.relative_to(folder): p.read_bytes() for p in (folder / "shards").rglob("*") if p.is_file()}


def assert_equal(one, other, where="state"):
    if isinstance(one, torch.Tensor):
        assert torch.equal(one, other), where
    elif isinstance(one, dict):
        assert one.keys() == other.keys(), where
        for key in one:
            assert_equal(one[key], other[key], f"{where}.{key}")
    elif isinstance(one, list | tuple):
        assert len(one) == len(other), where
        for place, (a, b) in enumerate(zip(one, other, strict=True)):
            assert_equal(a, b, f"{where}.{place}")
    else:
        assert one == other, where
