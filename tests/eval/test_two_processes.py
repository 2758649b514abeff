"""Two processes agree with one: same episodes, same draws, same figures."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import numpy as np
import pytest

from longdream.eval.evaluation import Evaluation, evaluate
from longdream.tests.eval.eval_stubs import MemorySource, Noisy

TIMEOUT = 120
WORKER = """
import faulthandler, json, sys
faulthandler.dump_traceback_later(100, exit=True)
import torch
torch.set_num_threads(1)
from accelerate import PartialState
from longdream.eval.evaluation import evaluate
from longdream.tests.eval.eval_stubs import MemorySource, Noisy
from longdream.tests.eval.test_two_processes import figures
from longdream.worldmodels.leave import leave

state = PartialState(cpu=True)
found = {"world": state.num_processes}
for episodes in (7, 2):  # 7: uneven shares, the last batch small; 2: nothing left for the second process
    source = MemorySource(episodes, pad=1, teleport=2)
    found[str(episodes)] = figures(evaluate(Noisy(), source, source.indices, batch_size=2))
with open(f"{sys.argv[1]}/rank{state.process_index}.json", "w") as file:
    json.dump(found, file)
leave(0)
"""


def figures(found: Evaluation) -> dict[str, list]:
    """All that two processes have to agree on."""
    names = ("generation", "copy_last", "mean_context", "reconstruction")
    pairs = [(name, kind) for name in names for kind in ("every", "unpadded")]
    every = {f"{n} {k}": [part.tolist() for part in getattr(getattr(found, n), k)] for n, k in pairs}
    return every | {
        "rewards": [found.imagined_reward, found.inferred_reward],
        "teleported": [found.teleported],
    }


@pytest.fixture(scope="module")
def ranks(tmp_path_factory: pytest.TempPathFactory) -> list[dict]:
    folder = tmp_path_factory.mktemp("ranks")
    script = folder / "worker.py"
    script.write_text(WORKER)
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2"]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    done = subprocess.run(
        [*command, str(script), str(folder)],
        env=environment,
        timeout=TIMEOUT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return [json.loads((folder / f"rank{rank}.json").read_text()) for rank in range(2)]


def test_there_really_are_two(ranks: list[dict]) -> None:
    assert [rank["world"] for rank in ranks] == [2, 2]


@pytest.mark.parametrize("episodes", [7, 2])
def test_both_have_the_figures_of_one(ranks: list[dict], episodes: int) -> None:
    source = MemorySource(episodes, pad=1, teleport=2)
    alone = json.loads(json.dumps(figures(evaluate(Noisy(), source, source.indices, batch_size=2))))
    for rank in ranks:
        assert rank[str(episodes)].keys() == alone.keys()
        for name, expected in alone.items():
            for mine, theirs in zip(expected, rank[str(episodes)][name], strict=True):
                np.testing.assert_allclose(mine, theirs, rtol=1e-12, err_msg=name)
