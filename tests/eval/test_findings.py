"""The words follow the numbers."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest

from longdream.eval.evaluation import Evaluation, evaluate
from longdream.eval.findings import (
    Verdict,
    findings,
    imagining,
    keeping_track,
    number,
    percent,
    recalling,
    seeing,
    telling_reward,
)
from longdream.eval.intervals import Interval, proportion
from longdream.eval.metrics import Accuracy
from longdream.eval.reasoning import Reasoning, Told
from longdream.eval.recall import Recall, RecallCurve
from longdream.tests.eval.eval_stubs import Blend, CopyLast, FrameModel, MeanContext, MemorySource, Truth


def evaluated(model: FrameModel, source: MemorySource) -> Evaluation:
    return evaluate(model, source, source.indices)


def test_a_good_model_is_said_to_have_learned() -> None:
    source = MemorySource(20)
    found = {f.topic: f for f in findings(evaluated(Truth(source.episodes), source))}
    assert {f.verdict for f in found.values()} == {Verdict.LEARNED}
    assert "ahead of both floors at every imagined step" in found["Imagining"].text
    assert "100 %" in found["Remembering the reward"].text


@pytest.mark.parametrize("model", [CopyLast, MeanContext])
def test_a_floor_is_said_to_have_learned_nothing(model: type[FrameModel]) -> None:
    found = {f.topic: f for f in findings(evaluated(model(), MemorySource(20)))}
    assert found["Imagining"].verdict is Verdict.NOT
    assert "no imagined step" in found["Imagining"].text
    assert found["Remembering the reward"].verdict is Verdict.NOT
    assert found["Seeing"].verdict is Verdict.LEARNED
    assert found["Telling the reward from what it sees"].verdict is Verdict.LEARNED


def test_the_step_is_named_from_which_imagination_is_worse_than_the_floor() -> None:
    source = MemorySource(8, query=10)
    share = [0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 4.0, 4.0, 4.0, 4.0]  # perfect for six steps, then far worse than copying
    found = imagining(evaluated(Blend(source.episodes, share), source))
    assert "ahead of both floors at 6 of 10 imagined steps; from step 7 on it is never ahead again" in found.text
    assert found.verdict is Verdict.NOT
    assert "worse than remembering nothing at all" in found.text


def test_better_than_the_floor_on_the_whole_but_not_to_the_end_is_learned_in_part() -> None:
    source = MemorySource(8, query=10)
    found = imagining(evaluated(Blend(source.episodes, [0.0] * 8 + [1.5] * 2), source))
    assert found.verdict is Verdict.PARTLY
    assert "from step 9 on" in found.text


def test_one_episode_tells_nothing_about_luck() -> None:
    source = MemorySource(1)
    assert imagining(evaluated(Truth(source.episodes), source)).verdict is Verdict.OPEN


def test_a_model_that_does_not_see_is_said_not_to() -> None:
    class Blind(CopyLast):
        def observe(self, batch, state=None, generators=None):
            return super().observe(batch._replace(obs=255 - batch.obs), state)

    found = seeing(evaluated(Blind(), MemorySource(5)))
    assert found.verdict is Verdict.NOT
    assert "says nothing about memory" in found.text


def test_frames_that_never_change_tell_nothing() -> None:
    source = MemorySource(3)
    source.episodes = [dataclasses.replace(e, obs=np.repeat(e.obs[:1], len(e), 0)) for e in source.episodes]
    found = evaluated(CopyLast(), source)
    assert seeing(found).verdict is Verdict.OPEN
    assert imagining(found).verdict is Verdict.NOT


@pytest.mark.parametrize(
    ("counts", "verdict"),
    [
        (Accuracy(50, 0, 0, 50), Verdict.LEARNED),
        (Accuracy(40, 10, 12, 38), Verdict.PARTLY),
        (Accuracy(27, 23, 24, 26), Verdict.NOT),  # 53 %: a coin does as well
        (Accuracy(90, 0, 10, 0), Verdict.NOT),  # 90 %, but so has the majority class
        (Accuracy(2, 0, 0, 1), Verdict.NOT),  # all right, of three
        (Accuracy(100, 0, 0, 0), Verdict.OPEN),
    ],
)
def test_a_reward_counts_as_remembered_only_beyond_the_majority_class(counts: Accuracy, verdict: Verdict) -> None:
    found = telling_reward("reward", counts)
    assert found.verdict is verdict
    assert percent(counts.interval.value) in found.text


def test_figures_are_short() -> None:
    assert [number(x) for x in (0.012345, 43.97, 999.7, 12345.6)] == ["0.0123", "44", "1,000", "12,346"]
    assert [percent(x) for x in (1, 0.5, 0.123, 0)] == ["100 %", "50 %", "12.3 %", "0 %"]
    assert [percent(x) for x in (0.9996, 0.9999, 0.0004)] == ["99.9 %", "99.9 %", "0.04 %"]


def recalled(model: list[float], floor: float = 10.0, spread: float = 0.5) -> Recall:
    def curve(values: list[float]) -> RecallCurve:
        found = tuple(Interval(value, value - spread, value + spread) for value in values)
        return RecallCurve(found, found)

    below = curve([floor] * len(model))
    return Recall(tuple(range(len(model))), curve(model), below, below, nearest_pose=None, episodes=9)


@pytest.mark.parametrize(
    ("model", "verdict"),
    [
        ([9.8, 2.0], Verdict.LEARNED),
        ([2.0], Verdict.LEARNED),
        ([9.8, 6.0], Verdict.PARTLY),
        ([30.0, 9.9], Verdict.NOT),
    ],
)
def test_recall_is_learned_where_little_of_the_floors_error_is_left(model: list[float], verdict: Verdict) -> None:
    found = recalling(recalled(model))
    assert found.verdict is verdict
    assert ("The frames help it" in found.text) == (verdict is not Verdict.NOT and len(model) > 1)


@pytest.mark.parametrize(
    ("right", "opened", "verdict"),
    [(100, 50, Verdict.LEARNED), (80, 50, Verdict.PARTLY), (80, 80, Verdict.NOT), (55, 50, Verdict.NOT)],
)
def test_doors_are_known_only_beyond_a_constant_answer(right: int, opened: int, verdict: Verdict) -> None:
    told = Told(100, right, opened, proportion(right, 100))
    found = keeping_track(Reasoning(told, told, told, told, told, np.zeros(1)))
    assert found.verdict is verdict
    assert percent(right / 100) in found.text


def test_doors_that_nobody_tries_tell_nothing() -> None:
    told = Told(0, 0, 0, Interval(math.nan, math.nan, math.nan))
    assert keeping_track(Reasoning(told, told, told, told, told, np.zeros(1))).verdict is Verdict.OPEN
