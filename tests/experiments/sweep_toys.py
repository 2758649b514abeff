"""Sweeps small enough for a test, and run folders as a sweep would leave them, without a training."""

import json
import time
from functools import partial

from longdream.collectors.cli import main as collect
from longdream.eval.cli import main as evaluate
from longdream.experiments.children import Children, Failed
from longdream.experiments.commands import TRAIN_SCRIPT
from longdream.experiments.plan import read_sweep
from longdream.worldmodels import trainer

SMALL = {  # of any family, on pictures of 40 pixels
    "optim.schedule": "constant",
    "world_model.codec.multiplier": 4,
    "world_model.latent.variables": 4,
    "world_model.units": 16,
    "batch-size": 4,
    "log_every": 1,
    "save_every": 5,
    "validate_every": 20,
    "device": "cpu",
}
S4 = {"model": "s4wm-tiny", "window": 9} | {
    f"world_model.backbone.{name}": value for name, value in {"width": 16, "mlp": 16, "state": 8, "blocks": 1}.items()
}
EVALUATE = {"episodes": 2, "device": "cpu"}
COLLECT = {"env": "distracting_memory", "width": 14, "n": 20, "workers": 1}


def write_sweep(path, **changes):
    """Write a sweep's YAML, which JSON is as well."""
    sweep = {
        "out": str(path.parent / "out"),
        "data": {"dm": {"path": str(path.parent / "dm"), "collect": COLLECT}},
        "models": {"s4": S4},
        "train": SMALL,
        "steps": 40,
        "evaluate": EVALUATE,
        "cpu_threads": 1,
    }
    path.write_text(json.dumps(sweep | changes))
    return path


def sweep_of(folder, **changes):
    """Return a sweep of two models and two seeds."""
    models = {"models": {"s4": S4, "rssm": {"model": "rssm-tiny"}}, "seeds": [0, 1]}
    return read_sweep(write_sweep(folder / "sweep.yaml", **models | changes))


def pretend(run, stops, evaluations, mse=1.0):
    """Make a run folder: stopped at {step: seconds of training}, and evaluated at some steps."""
    step, seconds = list(stops.items())[-1]
    checkpoint = run.folder / "checkpoints" / f"{step:08d}"
    checkpoint.mkdir(parents=True, exist_ok=True)
    (checkpoint / "model.safetensors").touch()
    (checkpoint / "config.json").write_text(json.dumps({"step": step, "seconds": seconds}))
    lines = [{"step": s, "kind": "train", "seconds": t, "frames_per_second": 10.0 * s} for s, t in stops.items()]
    (run.folder / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    for at in evaluations:
        folder = run.folder / f"evaluation-{at:08d}"
        folder.mkdir(exist_ok=True)
        (folder / "results.json").write_text(json.dumps(results(mse + at)))
        (folder / "asked.json").write_text(json.dumps(EVALUATE))


def results(mse):
    """Return what `results.json` says, as far as a summary reads it."""
    errors = {name: {"mse": value, "per_step": [value, 2 * value]} for name, value in
              {"generation": mse, "copy_last": 500.0, "mean_context": 400.0}.items()}  # fmt: skip
    reward = {"inference": {"accuracy": 0.75}, "imagination": {"accuracy": 0.5}, "majority_class": 0.625}
    errors["reconstruction"] = {"mse_from_second_step": mse / 2}
    run = {"errors": errors, "reward": reward, "provenance": {"config": {"parameters": 1234}}}
    return {"format": 2, "runs": [run]}


class InProcess:
    """Does what a sweep's child processes do in this one: no seconds go into importing torch once more.

    Attributes:
        stop_at: step at which training is stopped, as by a signal, once the sweep has asked for it; 0: never.
        others: a word of the commands that have a process all the same.
    """

    def __init__(self, monkeypatch, others=None):
        self.stop_at, self.others, self.real = 0, others, Children.run
        monkeypatch.setattr(Children, "run", lambda children, command, log: self.run(children, command, log))

    def run(self, children, command, log):
        if self.others is not None and any(self.others in word for word in command):
            return self.real(children, command, log)
        children.check()
        log.parent.mkdir(parents=True, exist_ok=True)
        if str(TRAIN_SCRIPT) in command:
            self.train(children, command[2:])
        elif CALLS[command[2]](command[3:]):
            raise Failed("it failed")
        return children.check()

    def train(self, children, words):
        if self.stop_at:
            words = [f"--stop-at={self.stop_at}" if word.startswith("--stop-at=") else word for word in words]
        assert trainer.run(words) == 0
        while self.stop_at and not children.stopping:
            time.sleep(0.01)


def status(main, words):
    """Return the exit status of a command."""
    try:
        main(words)
    except SystemExit as ended:
        return ended.code
    return 0


CALLS = {
    "longdream.collectors.cli": partial(status, collect),
    "longdream.eval.cli": partial(status, evaluate),
}
