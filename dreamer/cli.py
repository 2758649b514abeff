"""What `train_dreamer.py` runs."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

import torch

from ..worldmodels.leave import fail, leave
from .command import parse
from .environments.row import Failed
from .loop import Loop


def run(arguments: Sequence[str]) -> int:
    """Learn as the command line says; return the exit status."""
    loop = Loop(parse(arguments))
    asked = loop.run()
    say = loop.accelerator.print
    say(f"step {loop.steps:,} of {loop.config.env_steps:,}, {loop.episodes:,} episodes, in {loop.config.out}")
    if asked:
        say("stopped and saved; the same command goes on from here")
        return 128 + asked
    return 0


def main() -> None:
    """Run the command; what the user got wrong is one line and exit status 2."""
    try:
        status = run(sys.argv[1:])
    except KeyboardInterrupt:
        status = _refuse("stopped at once; the same command goes on from the last checkpoint", 130)
    except torch.OutOfMemoryError:
        status = _refuse("the GPU's memory is too small: lower --batch-size, or use more processes")
    except (ValueError, OSError, Failed) as error:
        status = _refuse(str(error))
    leave(status)


def _refuse(message: str, status: int = 2) -> int:
    """Say what is wrong, once where all processes know it, and by rank where one alone may; return the exit status."""
    rank = os.environ.get("RANK", "0")
    if rank != "0" and not torch.distributed.is_initialized():
        return status
    return fail("train_dreamer" if rank == "0" else f"train_dreamer, process {rank}", message, status)
