"""Two processes agree with one: same episodes, same draws, same figures."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import numpy as np
import pytest

from longdream.eval.evaluation import Evaluation, evaluate
from longdream.tests.eval.collected import collected
from longdream.tests.eval.eval_stubs import MemorySource, Noisy, make_episode

TIMEOUT = 120
WORKER = """
import faulthandler, json, sys
faulthandler.dump_traceback_later(100, exit=True)
import torch
torch.set_num_threads(1)
from accelerate import PartialState
from longdream.eval.evaluation import evaluate
from longdream.tests.eval.eval_stubs import MemorySource, Noisy
from longdream.tests.eval.test_two_processes import doors, figures, teleported
from longdream.worldmodels.leave import leave

state = PartialState(cpu=True)
found = {"world": state.num_processes}
for episodes in (7, 2):  # 7: uneven shares, the last batch small; 2: nothing left for the second process
    source = teleported(episodes)
    found[str(episodes)] = figures(evaluate(Noisy(), source, source.indices, batch_size=2))
found["doors"] = figures(evaluate(Noisy(), doors(), range(3), batch_size=2))
with open(f"{sys.argv[1]}/rank{state.process_index}.json", "w") as file:
    json.dump(found, file)
leave(0)
"""


def teleported(episodes: int) -> MemorySource:
    """Of different moments, and with poses; the last episode is not teleported."""
    source = MemorySource(0)
    source.episodes = [make_episode(i, pad=1, teleport=i % 4, posed=True) for i in range(episodes - 1)]
    source.episodes.append(make_episode(episodes, pad=1, posed=True))
    source.indices = list(range(episodes))
    return source


def doors() -> MemorySource:
    """Real episodes with doors."""
    return collected("multi_doors_keys_two", 3)


def figures(found: Evaluation) -> dict[str, list]:
    """All that two processes have to agree on."""
    names = ("generation", "copy_last", "mean_context", "nearest_pose", "reconstruction")
    pairs = [(name, kind) for name in names for kind in ("every", "unpadded")]
    every = {f"{n} {k}": [part.tolist() for part in getattr(getattr(found, n), k)] for n, k in pairs}
    if found.recall is not None:
        curves = ("model", "copy_last", "mean_context", "nearest_pose")
        every |= {f"recall {name}": getattr(found.recall, name) for name in curves}
    if found.reasoning is not None:
        every["doors"] = [[*told[:3], *told.interval] for told in found.reasoning[:-1]]
        every["doors per step"] = found.reasoning.per_step.tolist()
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


@pytest.mark.parametrize("what", ["7", "2", "doors"])
def test_both_have_the_figures_of_one(ranks: list[dict], what: str) -> None:
    source = doors() if what == "doors" else teleported(int(what))
    alone = figures(evaluate(Noisy(), source, range(len(source.episodes)), batch_size=2))
    alone = json.loads(json.dumps(alone))
    assert ("doors" if what == "doors" else "recall model") in alone
    for rank in ranks:
        assert rank[what].keys() == alone.keys()
        for name, expected in alone.items():
            for mine, theirs in zip(expected, rank[what][name], strict=True):
                np.testing.assert_allclose(mine, theirs, rtol=1e-12, err_msg=name)
