"""What a run of several processes or nodes makes sure of, and what it says where a GPU is too small."""

import numpy as np
import pytest
import torch
from accelerate import Accelerator

from longdream.datasets.reader import EpisodeDataset
from longdream.tests.worldmodels.trainer_toys import arguments, train
from longdream.worldmodels import leave, processes, trainer
from longdream.worldmodels.accumulation import too_many_rows
from longdream.worldmodels.processes import check_alike, facts, restore_carry


def test_nodes_that_differ_are_told_in_what(toy_data, tmp_path, monkeypatch):
    def parsed(*more):
        return trainer.parse(arguments(toy_data, tmp_path / "run", *more))

    def seen(config=None, dataset=None, checkpoint=None):
        return facts(config or parsed(), dataset or EpisodeDataset(toy_data), checkpoint)

    def check(theirs):
        monkeypatch.setattr(processes, "gather_object", lambda mine: [*mine, theirs])
        check_alike(Accelerator(cpu=True), seen())

    check(seen(parsed("--cpu-threads=3", "--cache-gb=2")))  # a node's own affair
    differences = {"--batch-size=8": "4 in process 0, but 8 in process 1", "--optim.lr=0.5": "0.5 in process 1"}
    for flag, text in differences.items():
        with pytest.raises(ValueError, match=f"{flag.split('=')[0]}: .*{text}.*one command"):
            check(seen(parsed(flag)))
    with pytest.raises(ValueError, match="newest checkpoint in --out: none in process 0, but 00000100 in process 1"):
        check(seen(checkpoint=tmp_path / "00000100"))
    fewer = EpisodeDataset(toy_data)
    fewer.indices, fewer.lengths = fewer.indices[:-1], fewer.lengths[:-1]
    with pytest.raises(ValueError, match=r"episodes in --data: 40, .* but 39, "):
        check(seen(dataset=fewer))
    shorter = EpisodeDataset(toy_data)
    shorter.lengths = np.where(shorter.indices == 3, 11, shorter.lengths)
    with pytest.raises(ValueError, match=r"episodes in --data: 40, .* but 40, "):
        check(seen(dataset=shorter))


def test_a_trainer_checks_it(toy_data, tmp_path, monkeypatch):
    monkeypatch.setattr(processes, "gather_object", lambda mine: [*mine, dict.fromkeys(mine[0], "other")])
    with pytest.raises(ValueError, match="but other in process 1"):
        train(toy_data, tmp_path / "run", "--steps=1")
    assert not (tmp_path / "run" / "config.json").exists()


def test_rows_carry_on_in_whichever_process_they_come_to_be():
    row = torch.arange(8.0)
    saved = {"carries": [[row[i : i + 2, None], -row[i : i + 2]] for i in range(0, 8, 2)]}  # of four processes
    found = restore_carry(saved, {"a": row, "b": row}, range(4, 8), torch.device("cpu"))  # the second of two
    assert found["a"].tolist() == [[4], [5], [6], [7]]
    assert found["b"].tolist() == [-4, -5, -6, -7]


def test_a_gpu_that_is_too_small_is_told_the_mend(toy_data, tmp_path, monkeypatch):
    def full(*_):
        raise torch.OutOfMemoryError

    monkeypatch.setattr(trainer, "accumulate", full)
    with pytest.raises(ValueError, match="too small for 4 rows at once: add --micro-batch 2"):
        train(toy_data, tmp_path / "all", "--steps=1")
    with pytest.raises(ValueError, match="too small for 3 rows at once: add --micro-batch 1"):
        train(toy_data, tmp_path / "some", "--steps=1", "--micro-batch=3")
    assert "one row" in too_many_rows(1)
    with pytest.raises(SystemExit):
        train(toy_data, tmp_path / "none", "--steps=1", "--micro-batch=-1")


@pytest.mark.parametrize(
    ("rank", "of_node", "said"),
    [("0", "0", "train_wm: no\n"), ("1", "1", ""), ("8", "0", "train_wm, process 8: no\n"), ("9", "1", "")],
)
def test_a_mistake_is_said_once_on_every_node(monkeypatch, capsys, rank, of_node, said):
    monkeypatch.setenv("RANK", rank)
    monkeypatch.setenv("LOCAL_RANK", of_node)
    assert leave.fail_together("train_wm", "no") == 2
    assert capsys.readouterr().err == said
