"""How a command ends, in a process that may be one of several."""

from __future__ import annotations

import atexit
import os
import sys
from collections.abc import Callable
from typing import NoReturn

import torch


def leave(status: int) -> NoReturn:
    """End this process with an exit status; one of several ends without taking the interpreter down.

    DDP keeps its process group alive (seen with torch 2.13), so gloo's threads outlive `destroy_process_group`. One
    that lets go of its last tensor while the interpreter ends waits for a lock that nobody gives back, and aborts: a
    run that did all its work would fail.
    """
    if not torch.distributed.is_initialized():
        sys.exit(status)
    torch.distributed.destroy_process_group()
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


def run_and_leave(command: str, run: Callable[[], object], batch_size: int, stopped: str) -> NoReturn:
    """Run a command that reads a model, and end the process: a user's mistake is one line on stderr and status 2.

    Args:
        command: its name, before that line.
        run: does the work.
        batch_size: what --batch-size is, to lower where a GPU's memory is too small.
        stopped: what Ctrl-C, which is status 130, has left.
    """
    try:
        run()
    except KeyboardInterrupt:
        leave(fail(command, stopped, 130))
    except torch.OutOfMemoryError:
        leave(fail(command, f"the GPU's memory is too small for --batch-size {batch_size}; give a smaller one", 2))
    except (ValueError, OSError) as error:
        leave(fail(command, str(error), 2))
    leave(0)


def fail(command: str, message: str, status: int) -> int:
    """Say what is wrong in one line; return the exit status."""
    print(f"{command}: {' '.join(message.split())}", file=sys.stderr)
    return status


def fail_together(command: str, message: str) -> int:
    """Say what is wrong, once a node where its processes know it alike, later by rank; return the exit status."""
    rank, of_node = (os.environ.get(name, "0") for name in ("RANK", "LOCAL_RANK"))
    if of_node == "0" or torch.distributed.is_initialized():
        fail(command if rank == "0" else f"{command}, process {rank}", message, 2)
    return 2
