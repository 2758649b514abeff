"""The oracle that replays the frame seen nearest to the true pose, against loops."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
import torch

from longdream.eval import oracle, trials
from longdream.eval.evaluation import evaluate
from longdream.eval.floors import floors
from longdream.tests.eval.collected import collected
from longdream.tests.eval.eval_stubs import CopyLast, MemorySource


def slow(episode) -> tuple[list[int], list[float]]:
    """The frame of the context that is replayed at each step of the query, and its error."""
    position, heading = (episode.extras[name].astype(float).tolist() for name in ("agent_pos", "agent_dir"))
    chosen, errors = [], []
    for t in range(episode.context, len(episode)):
        best, least = 0, math.inf
        for s in range(episode.context):
            moved = math.dist(position[t], position[s])
            turned = oracle.TURN * math.dist(heading[t], heading[s])
            if math.hypot(moved, turned) <= least:
                best, least = s, math.hypot(moved, turned)
        chosen.append(best)
        errors.append((((episode.obs[t].astype(float) - episode.obs[best]) / 255) ** 2).sum())
    return chosen, errors


def test_the_nearest_pose_is_replayed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(oracle, "STEPS_AT_ONCE", 4)
    source = MemorySource(5, context=20, query=9, posed=True)
    found = evaluate(CopyLast(), source, source.indices, batch_size=2).nearest_pose
    assert found is not None
    errors = np.array([slow(episode)[1] for episode in source.episodes])
    np.testing.assert_allclose(found.every.curve, errors.mean(0), rtol=1e-6)
    np.testing.assert_allclose(found.every.episodes, errors.mean(1), rtol=1e-6)


def test_the_latest_of_equally_near_frames_is_replayed() -> None:
    poses = torch.tensor([[0.0, 0, 1, 0], [1, 0, 1, 0], [0, 0, 1, 0], [2, 0, 1, 0]], dtype=torch.float64)[None]
    asked = torch.tensor([[0.0, 0, 1, 0], [1.4, 0, 1, 0], [1.5, 0, 1, 0]], dtype=torch.float64)[None]
    assert oracle.nearest(poses, asked).tolist() == [[2, 1, 3]]


def test_where_poses_come_again_it_is_exact_but_for_what_has_changed() -> None:
    """In the 2D maps: in the hallway nothing has changed, and at its end the agent stands where it never was."""
    source = collected("distracting_memory", 1, width=14)
    batch = trials.load(source, [0], [0], trials.layout(source.episodes[0]))
    near = floors(batch, ()).nearest_pose
    assert near is not None
    error = near[0]
    assert error[:-3].max() == 0
    assert error[-1] > 0


def test_without_poses_there_is_no_oracle() -> None:
    source = MemorySource(2)
    assert evaluate(CopyLast(), source, source.indices).nearest_pose is None
    three = MemorySource(1, posed=True).episodes[0]
    three = dataclasses.replace(three, extras={"agent_pos": np.zeros((11, 3)), "agent_dir": np.zeros((11, 3))})
    assert not trials.layout(three).posed
