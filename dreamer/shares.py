"""How a run is shared out over processes: environments, rows of a batch and steps of the replay, the same to each."""

from __future__ import annotations

from typing import NamedTuple

from .config import DreamerConfig


class Share(NamedTuple):
    """What one process does."""

    envs: int  # environments that it plays
    rows: int  # of a batch
    capacity: int  # steps that its replay holds
    episodes: int  # of an evaluation


def share_of(config: DreamerConfig, processes: int) -> Share:
    """Return the share of each process.

    Raises:
        ValueError: something cannot be shared out evenly, or a process would have too little to train on.
    """
    for name in ("envs", "batch_size", "evaluation_episodes"):
        if (value := getattr(config, name)) % processes:
            flag = f"--{name.replace('_', '-')}"
            raise ValueError(f"{flag} {value} is shared out over {processes} processes: give a multiple of {processes}")
    if config.prefill < (least := processes * config.batch_length):
        raise ValueError(
            f"--prefill {config.prefill}: give {least} or more, so that each of {processes} processes has a row of "
            f"--batch-length {config.batch_length} steps to train on"
        )
    return Share(
        config.envs // processes,
        config.batch_size // processes,
        config.capacity // processes,
        config.evaluation_episodes // processes,
    )
