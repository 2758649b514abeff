"""Sweeps small enough for a test, and run folders as a sweep would leave them, without a training."""

import json

from longdream.experiments.plan import read_sweep

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
