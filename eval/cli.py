"""The command `evaluate`: measure checkpoints on episodes that they have not seen, and write the report."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import tyro
from accelerate import PartialState

from ..datasets.reader import EpisodeDataset
from ..provenance import provenance
from ..worldmodels.checkpoint import load_model
from ..worldmodels.leave import run_and_leave
from .evaluation import evaluate_all
from .examined import Examined, names
from .film import FILMED, shoot
from .losses import run_folder
from .output import write
from .table import as_text, remark, tables
from .trials import Layout, layout


@dataclass(frozen=True)
class EvaluateConfig:
    """Measure what trained world models remember.

    A model is shown the context of each episode and imagines the query from its actions alone. Printed and written:
    the squared error of what it imagined and of what it reconstructs, how often it tells the final reward right, what
    it recalls after a teleport and which doors it believes open where the data have such things, and the same figures
    for floors that remember nothing and for the frame seen nearest to the true pose, which no model is told. Where the
    data are of a task of the paper, its figures stand below, marked. In OUT: report.html (open this), results.json,
    curves.csv, PNGs.

    Example: evaluate --checkpoint runs/first --data data/distracting_memory

    Several runs, of any kind, side by side on the same episodes: evaluate --checkpoint runs/s4wm runs/rssm --data ...

    On several processes: accelerate launch --multi_gpu -m longdream.eval.cli --checkpoint ... (same figures).
    """

    checkpoint: tuple[Path, ...]  # runs' folders (of each its best checkpoint), or single checkpoints' folders
    data: str  # a data set, from `collect`: its folder, or its URL (s3://bucket/folder)
    out: Path | None = None  # where to write, over what is there. By default in the run's folder, evaluation-SPLIT,
    # and for several runs in the working directory, evaluation-DATA-SPLIT
    episodes: int | None = None  # how many of the split, from its first on (of a replay, its last ones); by default all
    split: str = "test"  # train, validation or test
    recall_given: tuple[int, ...] | None = None  # frames shown after a teleport before the rest is imagined; by default
    # 0 1 2 5 10 20, as far as the query is longer. Each takes as long as imagining once more; none leaves recall out
    seed: int = 0  # of the model's draws; each episode has its own, so batch size and processes do not matter
    batch_size: int = 8  # episodes at once on each process: lower it if memory runs out
    device: str = "auto"  # auto (a GPU where there is one), cpu, cuda, cuda:1


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command; a user's mistake is one line on stderr and exit code 2, Ctrl-C 130."""
    config = tyro.cli(EvaluateConfig, prog="evaluate", args=arguments)
    stopped = "stopped before the end; the same command begins again"
    run_and_leave("evaluate", lambda: run(config), config.batch_size, stopped)


def run(config: EvaluateConfig) -> list[Examined]:
    """Evaluate as `config` says and write the files.

    Raises:
        ValueError: a checkpoint, the data, the split or a number does not fit.
    """
    if not config.checkpoint:
        raise ValueError("--checkpoint names no run; give one folder or several")
    source = EpisodeDataset(config.data)
    indices = chosen_episodes(source.split(config.split), config, latest=source.info.capacity is not None)
    state, device = processes(config.device)
    loaded = [load_model(path, device=str(device)) for path in config.checkpoint]
    called = names([model.path for model in loaded])
    expected = layout(source.episode(indices[0]))
    for model in loaded:
        check_fit(model.config, expected)
    out = config.out or default_folder([model.path for model in loaded], config)
    if state.is_main_process:
        out.mkdir(parents=True, exist_ok=True)  # what cannot be written is to be known before the work
    evaluations = evaluate_all(
        [model.model for model in loaded],
        source,
        indices,
        seed=config.seed,
        batch_size=config.batch_size,
        given=config.recall_given,
        device=device,
        progress=True,
    )
    settings = {
        "split": config.split,
        "episodes": len(indices),
        "seed": config.seed,
        "batch_size": config.batch_size,
        "device": str(device),
        "processes": state.num_processes,
    }
    task = {"environment": source.info.environment, "options": source.info.options, "settings": settings}
    shared = provenance(config.data) | task
    examined = [
        Examined(name, evaluation, shared | {"checkpoint": str(model.path), "config": model.config})
        for name, evaluation, model in zip(called, evaluations, loaded, strict=True)
    ]
    if state.is_main_process:
        models = {name: model.model for name, model in zip(called, loaded, strict=True)}
        films = [shoot(models, source, index, config.seed, device) for index in indices[:FILMED]]
        write(examined, out, films)
        print("\n\n".join(as_text(table) for table in tables(examined)))
        print(f"\n{remark(examined)}\n\n{out / 'report.html'}")
    state.wait_for_everyone()
    return examined


def default_folder(checkpoints: Sequence[Path], config: EvaluateConfig) -> Path:
    """Return where to write if nothing is said: beside the run, or for several runs in the working directory."""
    if len(checkpoints) == 1:
        return run_folder(checkpoints[0]) / f"evaluation-{config.split}"
    return Path(f"evaluation-{Path(config.data).resolve().name}-{config.split}")


def chosen_episodes(split: np.ndarray, config: EvaluateConfig, latest: bool = False) -> list[int]:
    """Return the episodes that are evaluated: the first `config.episodes` of the split, or the `latest` ones.

    Raises:
        ValueError: the split is empty, or holds fewer.
    """
    if not len(split):
        raise ValueError(
            f"the {config.split} split of {config.data} is empty; collect more episodes or take another --split"
        )
    count = len(split) if config.episodes is None else config.episodes
    if not 1 <= count <= len(split):
        raise ValueError(f"--episodes {count}: the {config.split} split of {config.data} has 1 to {len(split)} to give")
    chosen = split[-count:] if latest else split[:count]
    return [int(index) for index in chosen]


def processes(device: str) -> tuple[PartialState, torch.device]:
    """Join the other processes, if this one was launched among several, and return the device to work on.

    Raises:
        ValueError: there is no such device, or the launcher's processes did not find each other.
    """
    wanted = chosen_device(device)
    state = PartialState(cpu=wanted.type == "cpu")
    launched = int(os.environ.get("WORLD_SIZE", "1"))
    if state.num_processes != launched:
        raise ValueError(
            f"{launched} processes were launched but {state.num_processes} joined; launch with torch.distributed.run"
        )
    return state, state.device if wanted.type == "cuda" and wanted.index is None else wanted


def chosen_device(name: str) -> torch.device:
    """Return the device that `name` means: cpu, cuda (each process its own), cuda:N, or auto.

    Raises:
        ValueError: this machine has none of that name.
    """
    gpus = torch.cuda.device_count()
    if name == "auto":
        return torch.device("cuda" if gpus else "cpu")
    if not re.fullmatch(r"cpu|cuda(:\d+)?", name):
        raise ValueError(f"there is no device {name!r}; give auto, cpu, cuda or cuda:N")
    found = torch.device(name)
    if found.type == "cuda" and (found.index or 0) >= gpus:
        raise ValueError(f"--device {name}: this machine has {gpus} GPUs that torch can use; take --device cpu")
    return found


def check_fit(config: dict[str, Any], layout: Layout) -> None:
    """Refuse data of another kind than the checkpoint's configuration speaks of, as far as it does.

    Raises:
        ValueError: the images or the actions are of another size.
    """
    model = config.get("world_model", {})
    codec = model.get("codec", {})
    made_for, found_here = codec.get("type"), "VectorConfig" if len(layout.obs) == 1 else "CNNConfig"
    if made_for is not None and made_for != found_here:
        kinds = {"VectorConfig": "vectors", "CNNConfig": "images"}
        raise ValueError(f"the model was made for {kinds.get(made_for, made_for)}, the data hold {kinds[found_here]}")
    height, width, channels = layout.obs if len(layout.obs) == 3 else (*layout.obs, None, None)
    size = "image height" if len(layout.obs) == 3 else "number of features"
    pairs = {
        size: (codec.get("size"), height),
        "image width": (codec.get("size"), height if width is None else width),
        "number of channels": (codec.get("channels"), channels),
        "number of actions": (model.get("actions"), layout.actions),
    }
    for what, (told, found) in pairs.items():
        if told is not None and told != found:
            raise ValueError(f"the model was made for the {what} {told}, the data have {found}; give data of its kind")


if __name__ == "__main__":
    main()
