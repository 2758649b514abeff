"""How a process ends that may be one of several."""

from __future__ import annotations

import atexit
import os
import sys
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
