"""The online loop as two processes: each plays and stores for itself, they learn as one, and go on to the bit."""

import pytest
import torch

from longdream.dreamer.config import DreamerConfig
from longdream.dreamer.shares import Share, share_of
from longdream.tests.dreamer.loop_toys import assert_same_run, files_of, launch, learn, metrics
from longdream.tests.worldmodels.trainer_toys import finish
from longdream.worldmodels.checkpoint import latest

OPTIONS = ["--length=3", "--evaluate-every=60", "--train-ratio=8"]
SCRIPT = """
import os
import signal
import sys
import torch
from accelerate.utils import gather_object
from longdream.dreamer.command import parse
from longdream.dreamer.loop import Loop
from longdream.worldmodels.leave import leave

*words, whole, parts, stopped = sys.argv[1:]
for out, steps in ((parts, 60), (parts, 120), (whole, 120)):
    loop = Loop(parse([*words, f"--out={out}", f"--env-steps={steps}"]))
    loop.run()
first = Loop(parse([*words, f"--out={stopped}", "--env-steps=120"]))
if first.accelerator.process_index == 1:
    act = first._act
    first._act = lambda: (act(), os.kill(os.getpid(), signal.SIGINT))
signals, rows = first.run(), first.replay.sample(first.share.rows, 8, 0).reward.shape
learned = loop.learner.mind.model.state_dict() | loop.learner.mind.behaviour.state_dict()
found = gather_object([{name: x.double().sum().item() for name, x in learned.items()}])
draws = gather_object([torch.rand(1).item()])
loop.accelerator.print(len(found), "equal" if found[0] == found[1] else "apart", draws[0] != draws[1])
asked = gather_object([int(signals)])
loop.accelerator.print("both stopped by", asked, "after", first.steps, "rows of each", tuple(rows))
loop.accelerator.wait_for_everyone()
leave(0)
"""


def test_two_processes_learn_as_one_and_go_on_exactly(tmp_path):
    """Gradients are averaged, in world model and behaviour: ranks that learned apart would drift apart."""
    script, whole, parts, stopped = (tmp_path / name for name in ("several.py", "whole", "parts", "stopped"))
    script.write_text(SCRIPT)
    output = finish(launch("ignored", *OPTIONS, str(whole), str(parts), str(stopped), processes=2, script=script))
    assert "2 equal True" in output  # and they draw differently
    assert "both stopped by [2, 2] after 4 rows of each (2, 8)" in output  # the signal came to one of them
    assert "on cpu x 2" in output
    assert_same_run(parts, whole)
    assert files_of(whole / "replay") != files_of(whole / "replay-1")  # they play different episodes
    assert metrics(whole)[-1]["replay_steps"] == 120
    saved = torch.load(latest(whole) / "dreamer.pt", weights_only=True)
    assert len(saved["processes"]) == 2
    with pytest.raises(ValueError, match="saved by 2 processes"):
        learn(parts, "--env-steps=200", *OPTIONS)


def test_what_cannot_be_shared_out_is_refused():
    config = DreamerConfig(env="memory_len", out=None, envs=8, batch_size=6, prefill=64, batch_length=32)
    assert share_of(config, 2) == Share(envs=4, rows=3, capacity=500_000, episodes=10)
    with pytest.raises(ValueError, match="--batch-size 6 is shared out over 4 processes: give a multiple of 4"):
        share_of(config, 4)
    with pytest.raises(ValueError, match="--envs 8 is shared out over 3"):
        share_of(config, 3)
    with pytest.raises(ValueError, match="--prefill 64: give 128"):
        share_of(DreamerConfig(env="", out=None, prefill=64, batch_length=32), 4)
