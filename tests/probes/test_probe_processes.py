"""Two processes agree with one: the same features to the bit, the marks of one probe, the same figures."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from accelerate import PartialState

from longdream.datasets.reader import EpisodeDataset
from longdream.probes.catalogue import chosen
from longdream.probes.examination import CONSTANT, PROBE, Protocol, examine
from longdream.probes.observe import features
from longdream.probes.training import Training
from longdream.tests.probes.probe_toys import Dreaming, small

CPU, TIMEOUT = torch.device("cpu"), 120
WORKER = """
import faulthandler, json, sys
faulthandler.dump_traceback_later(100, exit=True)
import torch
torch.set_num_threads(1)
from accelerate import PartialState
from longdream.tests.probes.test_probe_processes import figures
from longdream.worldmodels.leave import leave

state = PartialState(cpu=True)
found = {"world": state.num_processes} | figures(sys.argv[1], sys.argv[2] + "/features")
with open(f"{sys.argv[2]}/rank{state.process_index}.json", "w") as file:
    json.dump(found, file)
leave(0)
"""


def figures(data, beside):
    """All that two processes have to agree on."""
    source = EpisodeDataset(data)
    train, test = [0, 1, 2, 3, 4], [5, 6, 7]  # shares are uneven
    held = features(Dreaming(), source, train + test, {"seed": 0}, Path(beside), batch_size=2, device=CPU)
    led_apart = PartialState().process_index  # on a GPU rounding does it: the first process' probe is what counts
    protocol = Protocol(source, train, test, Training(steps=5, blocks=2, seed=led_apart), CPU)
    found = examine(small(chosen(["doors"], source.info)[0]), [PROBE, CONSTANT], held, protocol)
    return {
        "features": {path.name: path.read_bytes().hex() for path in sorted(held.folder.iterdir())},
        "marks": {name: [[part.tolist() for part in e] for e in row.marks] for name, row in found.rows.items()},
    }


@pytest.fixture(scope="module")
def ranks(data, tmp_path_factory):
    folder = tmp_path_factory.mktemp("ranks")
    script = folder / "worker.py"
    script.write_text(WORKER)
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2", str(script)]
    done = subprocess.run(
        [*command, str(data("multi_doors_keys_two").folder), str(folder)],
        env=os.environ | {"OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""},
        timeout=TIMEOUT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return [json.loads((folder / f"rank{rank}.json").read_text()) for rank in range(2)]


def test_there_really_are_two_and_both_have_the_figures_of_one(ranks, data, tmp_path):
    alone = json.loads(json.dumps(figures(str(data("multi_doors_keys_two").folder), str(tmp_path))))
    for rank in ranks:
        assert rank["world"] == 2
        assert rank["features"] == alone["features"]
        for name, expected in alone["marks"].items():
            for mine, theirs in zip(expected, rank["marks"][name], strict=True):
                for one, other in zip(mine, theirs, strict=True):
                    np.testing.assert_allclose(one, other, rtol=1e-12, err_msg=name)
