"""A scale of the S4WM paper's tables small enough for a test, and run folders as its runs would leave them."""

import json

import yaml

from longdream.tests.experiments.sweep_toys import COLLECT, EVALUATE, S4, SMALL, pretend, results

RSSM = {"model": "rssm-tiny", "batch_size": 4, "window": 9, "world_model.width": 16}
XL = {"model": "tssm-xl-tiny"} | {
    f"world_model.backbone.{name}": value for name, value in {"width": 16, "mlp": 16, "heads": 2, "layers": 1}.items()
}
BENCHMARK = {"size": 40, "batch": 1, "time": 4, "batches": 1, "rows": 1, "context": 2, "horizon": 2, "rounds": 1}


def toy_scale(path, **changes):
    """Write a scale whose table 2 takes seconds: two of its models fit, 40 steps in two rounds."""
    train = {name.replace("-", "_"): value for name, value in SMALL.items()}
    train |= {"steps": 40, "validate_every": 10, "batch_size": 2}
    s4 = {name: value for name, value in S4.items() if name != "window"}
    scale = {
        "about": "a toy",
        "not_comparable": "it is a toy",
        "data": {"dm": {"beside": "distracting_memory", "collect": COLLECT}},
        "models": {"rssm": RSSM, "tssm-xl": XL, "s4wm": s4},
        "train": train,
        "rounds": [0.5, 1],
        "cpu_threads": 1,
        "tables": {
            "table2": {"data": ["dm"], "seeds": [0, 1], "evaluate": {"episodes": 2, "device": "cpu"}},
            "figure3": {"benchmark": BENCHMARK},
        },
        "speed": {"machine": "a toy", "training": {"2d": {"s4wm": 1000}}, "measuring": {"2d": {"s4wm": 500}}},
    }  # fmt: skip
    path.write_text(yaml.safe_dump(scale | changes))
    return path


def measured(run, step, inference, imagination, precision="no"):
    """Make a run's folder as it would be after a measurement at `step`."""
    pretend(run, {at: 60.0 * at for at in (20, 40, 80) if at <= step}, [step])
    found = results(7.0)
    found["runs"][0]["reward"] |= {"inference": {"accuracy": inference}, "imagination": {"accuracy": imagination}}
    found["runs"][0]["reward"] |= {"majority_class": 0.625, "chance": 0.5}
    folder = run.folder / f"evaluation-{step:08d}"
    (folder / "results.json").write_text(json.dumps(found))
    (folder / "asked.json").write_text(json.dumps(EVALUATE))
    hardware = {"processor": "a toy", "gpus": ["a card"]}
    provenance = {"commit": "a" * 40, "date": "now", "data_hash": "x", "hardware": hardware}
    (run.folder / "config.json").write_text(json.dumps({"provenance": provenance, "train": {"precision": precision}}))
