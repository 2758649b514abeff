"""Reading a run's metrics.jsonl, whatever a run may have left in it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from longdream.eval.losses import read_losses, run_folder


def write(path: Path, *records: dict, tail: str = "") -> Path:
    path.write_text("".join(json.dumps(record) + "\n" for record in records) + tail)
    return path


def test_terms_are_what_validation_logs_in_a_fixed_order(tmp_path: Path) -> None:
    log = write(
        tmp_path / "metrics.jsonl",
        {"step": 1, "kind": "train", "loss": 5.0, "reconstruction": 4.0, "own": 1.0, "lr": 0.1, "grad_norm": 3.0},
        {"step": 1, "kind": "validation", "seconds": 2.5, "own": 1.5, "reconstruction": 4.5, "loss": 6.0},
        {"step": 2, "kind": "train", "loss": 3.0, "reconstruction": float("nan"), "own": 0.5, "lr": 0.1},
        {"step": 2, "kind": "timing", "loss": 99.0},
    )
    found = read_losses(log)
    assert list(found.terms) == ["loss", "reconstruction", "own"]
    assert found.terms["loss"] == {"train": ([1, 2], [5.0, 3.0]), "validation": ([1], [6.0])}
    assert found.terms["reconstruction"]["train"] == ([1], [4.0])
    assert found.unreadable == 0


def test_without_validation_the_known_terms_are_taken(tmp_path: Path) -> None:
    log = write(tmp_path / "metrics.jsonl", {"step": 1, "kind": "train", "reward": 1.0, "lr": 0.1, "kl": 2.0})
    assert list(read_losses(log).terms) == ["kl", "reward"]


def test_a_resumed_run_keeps_the_later_line_and_a_broken_one_is_counted(tmp_path: Path) -> None:
    lines = [{"step": step, "kind": "train", "loss": loss} for step, loss in ((1, 9.0), (2, 8.0), (2, 7.0))]
    found = read_losses(write(tmp_path / "metrics.jsonl", *lines, tail='{"step": 3, "ki'))
    assert found.terms["loss"]["train"] == ([1, 2], [9.0, 7.0])
    assert found.unreadable == 1


@pytest.mark.parametrize("checkpoint", [".", "best", "checkpoints/00000100"])
def test_the_run_of_a_checkpoint_is_found(tmp_path: Path, checkpoint: str) -> None:
    run = tmp_path / "run"
    (run / checkpoint).mkdir(parents=True)
    (run / "metrics.jsonl").touch()
    assert run_folder(run / checkpoint) == run


def test_a_checkpoint_without_a_run_is_its_own_folder(tmp_path: Path) -> None:
    assert run_folder(tmp_path / "alone") == tmp_path / "alone"
