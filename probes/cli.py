"""The command `probe`: what a model's features know of the world behind the pictures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

import torch
import tyro

from ..datasets.info import DatasetInfo
from ..datasets.reader import EpisodeDataset
from ..eval.cli import check_fit, processes
from ..eval.losses import run_folder
from ..eval.trials import layout
from ..provenance import provenance
from ..worldmodels.leave import run_and_leave
from .catalogue import chosen, fitting
from .examination import CONSTANT, LABELS, PROBE, Examined, Protocol, examine
from .examples import first_of_query
from .features import Features, Subject, load, origin
from .figures import save_curves
from .maps import pictures, save_maps
from .observe import features
from .results import write
from .table import as_text
from .training import Training


@dataclass(frozen=True)
class ProbeConfig:
    """Ask what a trained world model's features know: the walls of a maze, where objects are, which doors are open.

    The model watches whole episodes. Probes (small perceptrons) learn to read the answers from what it holds in mind
    at every step, [h, z], on the training split, and are marked on the test split: over the query (the headline) and
    over every step. Beside them: the best constant answer, and a probe that is fed the right answers.

    Features are computed once and kept in the run's folder (features/). Ctrl-C loses nothing that is computed.
    In OUT: results.json, curves.csv, curves.png and, where the task has a map, maps.png.

    examples:
      probe --checkpoint runs/mm9 --data data/mm9 --task walls objects
      probe --data data/mm9 --list                                    what can be asked of this data set
      probe --data data/mm9 --baseline constant                       the floor, without a model
      probe --checkpoint runs/mm9 --data data/mm9 --steps 500 --train-episodes 200      a first look, on a CPU

    On several processes: accelerate launch --multi_gpu -m longdream.probes.cli --checkpoint ... (same figures).
    """

    data: str  # a data set, from `collect` or `longdream convert`: its folder, or its URL (s3://bucket/folder)
    checkpoint: Path | None = None  # a run's folder (its best checkpoint is taken) or one checkpoint's folder
    task: tuple[str, ...] = ()  # what to ask; by default all that the data set has the answers to
    baseline: tuple[Literal["constant", "labels"], ...] = ()  # without a checkpoint: which of the rows beside a probe
    list: bool = False  # print what can be asked of the data set, and do nothing else
    out: Path | None = None  # where to write; by default the run's folder / probing-SPLIT; files there are replaced
    split: Literal["validation", "test"] = "test"  # which episodes are marked
    episodes: int | None = None  # how many of them, from the first on; by default all
    train_episodes: int | None = None  # how many the probes learn from; by default the whole training split
    training: tyro.conf.OmitArgPrefixes[Training] = field(default_factory=Training)
    batch_size: int = 8  # episodes that the model watches at once on each process: lower it if memory runs out
    device: str = "auto"  # auto (a GPU where there is one), cpu, cuda, cuda:1


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command; a user's mistake is one line on stderr and exit code 2."""
    config = tyro.cli(ProbeConfig, prog="probe", args=arguments)
    stopped = "stopped. Features that were computed are kept; the same command goes on from there"
    run_and_leave("probe", lambda: run(config), config.batch_size, stopped)


def run(config: ProbeConfig) -> list[Examined]:
    """Probe as `config` says and write the files.

    Raises:
        ValueError: the checkpoint, the data, a task or a number does not fit.
    """
    source = EpisodeDataset(config.data)
    if config.list:
        print(listed(source.info))
        return []
    check_numbers(config)
    tasks, rows = chosen(config.task, source.info), rows_of(config)
    train = first_episodes(source, "train", config.train_episodes, "--train-episodes", config.data)
    test = first_episodes(source, config.split, config.episodes, "--episodes", config.data)
    state, device = processes(config.device)
    record = provenance(config.data)  # before the work, which it could not spoil then
    subject = None if config.checkpoint is None else load(config.checkpoint, device)
    out = destination(config, subject)
    if out is not None and state.is_main_process:
        out.mkdir(parents=True, exist_ok=True)  # what cannot be written is to be known before the work
    held = None if subject is None else held_features(config, subject, source, [*train, *test], device)
    protocol = Protocol(source, train, test, config.training, device, progress=True)
    found = [examine(task, rows, held, protocol) for task in tasks]
    if state.is_main_process:
        settings = {
            "split": config.split,
            "episodes": test,
            "train_episodes": len(train),
            "training": asdict(config.training),
            "batch_size": config.batch_size,
            "device": str(device),
            "processes": state.num_processes,
        }
        data = {"environment": source.info.environment, "options": source.info.options}
        report(found, source, protocol, out, record | origin_of(subject) | data | {"settings": settings})
    state.wait_for_everyone()
    return found


def check_numbers(config: ProbeConfig) -> None:
    """Raise the ValueError of a number that is out of range."""
    training = config.training
    sizes = {"steps": training.steps, "blocks": training.blocks, "block": training.block}
    for name, value in {**sizes, "batch-size": config.batch_size}.items():
        if value < 1:
            raise ValueError(f"--{name} {value}: 1 or more")
    if training.lr <= 0:
        raise ValueError(f"--lr {training.lr}: more than 0")
    if training.seed < 0:
        raise ValueError(f"--seed {training.seed}: 0 or more")


def listed(info: DatasetInfo) -> str:
    """Return the tasks that fit a data set, one a line."""
    tasks = fitting(info)
    width = max((len(task.name) for task in tasks), default=0)
    return "\n".join(f"{task.name:<{width}}  {task.about}" for task in tasks) or f"{info.environment} fits no task"


def rows_of(config: ProbeConfig) -> list[str]:
    """Return the rows of the tables.

    Raises:
        ValueError: there is neither a checkpoint nor a baseline to examine, or there are both.
    """
    if config.checkpoint is None and not config.baseline:
        raise ValueError("what is to be probed? Give --checkpoint, or --baseline constant, which needs none")
    if config.checkpoint is not None and config.baseline:
        raise ValueError("--baseline is for tables without a model: beside a --checkpoint both rows stand anyway")
    return list(dict.fromkeys(config.baseline)) or [PROBE, CONSTANT, LABELS]


def first_episodes(source: EpisodeDataset, split: str, count: int | None, option: str, data: str) -> list[int]:
    """Return the first `count` episodes of a split; None: all.

    Raises:
        ValueError: the split is empty, or holds fewer.
    """
    found = source.split(split)
    if not len(found):
        raise ValueError(f"the {split} split of {data} is empty; collect more episodes")
    if count is not None and not 1 <= count <= len(found):
        raise ValueError(f"{option} {count}: the {split} split of {data} has 1 to {len(found)} to give")
    return [int(episode) for episode in found[:count]]


def destination(config: ProbeConfig, subject: Subject | None) -> Path | None:
    """Return the folder to write to; baselines alone are only printed, unless there is an --out."""
    if config.out is not None or subject is None:
        return config.out
    return run_folder(subject.loaded.path) / f"probing-{config.split}"


def held_features(
    config: ProbeConfig, subject: Subject, source: EpisodeDataset, episodes: Sequence[int], device: torch.device
) -> Features:
    """Return the model's features of episodes, computing what is missing.

    Raises:
        ValueError: the data are not of the model's kind.
    """
    loaded = subject.loaded
    check_fit(loaded.config, layout(source.episode(episodes[0])))
    return features(
        loaded.model,
        source,
        episodes,
        origin(subject, config.data, config.training.seed),
        run_folder(loaded.path),
        batch_size=config.batch_size,
        device=device,
        progress=True,
    )


def origin_of(subject: Subject | None) -> dict[str, Any]:
    """Return where a model comes from, for the provenance."""
    return {} if subject is None else {"checkpoint": str(subject.loaded.path), "config": subject.loaded.config}


def report(
    found: Sequence[Examined], source: EpisodeDataset, protocol: Protocol, out: Path | None, record: dict[str, Any]
) -> None:
    """Print the tables, and write the files into `out` if there is one."""
    print("\n\n".join(as_text(examined, source.info) for examined in found))
    if out is None:
        return
    write(found, source.info, record, out)
    save_curves(found, first_of_query(source, protocol.test[0]), out / "curves.png")
    if rows := pictures(found, source, protocol.test):
        save_maps(rows, out / "maps.png")
    print(f"\n{out / 'curves.png'}")


if __name__ == "__main__":
    main()
