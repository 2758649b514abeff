"""A tiny training run of the toy data: its command line, in this process or others, and what it left behind."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import torch

from longdream.worldmodels import trainer
from longdream.worldmodels.checkpoint import latest, load_model

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
