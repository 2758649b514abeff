"""Whole evaluations of models whose figures are known."""

from __future__ import annotations

import numpy as np
import pytest

from longdream.eval.evaluation import PICTURED_EPISODES, evaluate, pictured_steps
from longdream.tests.eval.eval_stubs import CopyLast, FrameModel, MeanContext, MemorySource, Noisy, Truth


@pytest.mark.parametrize(("model", "floor"), [(CopyLast, "copy_last"), (MeanContext, "mean_context")])
def test_a_model_that_imagines_a_floor_scores_the_floor(model: type[FrameModel], floor: str) -> None:
    source = MemorySource(5)
    found = evaluate(model(), source, source.indices, batch_size=2)
    np.testing.assert_allclose(found.generation.every.curve, getattr(found, floor).every.curve, rtol=1e-6)
    assert found.generation.every.mse > 0
    assert found.reconstruction.every.mse == 0
    assert found.inferred_reward.interval.value == 1
    assert found.imagined_reward == (3, 0, 2, 0)  # it never expects a reward


def test_a_model_that_knows_the_truth_is_perfect() -> None:
    source = MemorySource(5)
    found = evaluate(Truth(source.episodes), source, source.indices, batch_size=2)
    assert found.generation.every.mse == 0
    assert found.imagined_reward.interval.value == 1


def test_figures_equal_a_plain_numpy_computation_with_and_without_padding() -> None:
    source = MemorySource(5, query=6, pad=2)
    found = evaluate(CopyLast(), source, [4, 0, 3], batch_size=2)
    images = np.stack([source.episodes[index].obs for index in (4, 0, 3)]) / 255  # (N T H W C)
    errors = ((images[:, 7:] - images[:, 6:7]) ** 2).sum((2, 3, 4))  # (N Q)
    for measured in (found.generation, found.copy_last):
        assert measured.every.mse == pytest.approx(errors.mean(), rel=1e-6)
        assert measured.unpadded.mse == pytest.approx(errors[:, :4].mean(), rel=1e-6)
        np.testing.assert_allclose(measured.every.curve, errors.mean(0), rtol=1e-6)
        np.testing.assert_allclose(measured.every.episodes, errors.mean(1), rtol=1e-6)
    assert found.reconstruction.unpadded.step_count.sum() == 3 * 11
    assert found.reconstruction.every.step_count.sum() == 3 * 13


def test_batch_size_changes_no_draw() -> None:
    source = MemorySource(7)
    one, three, all_at_once = (evaluate(Noisy(), source, source.indices, batch_size=size) for size in (1, 3, 7))
    for other in (three, all_at_once):
        for name in ("generation", "reconstruction"):
            mine, theirs = getattr(one, name).every, getattr(other, name).every
            np.testing.assert_allclose(mine.episodes, theirs.episodes, rtol=1e-12)
    assert np.ptp(one.generation.every.episodes - one.copy_last.every.episodes) > 0  # it did draw


def test_the_seed_and_nothing_else_changes_the_draws() -> None:
    source = MemorySource(3)
    one, again, other = (evaluate(Noisy(), source, source.indices, seed=seed) for seed in (0, 0, 1))
    assert one.generation.every.mse == again.generation.every.mse != other.generation.every.mse


def test_pictures_are_the_first_episodes_whatever_the_batch_size() -> None:
    source = MemorySource(6, query=20)
    for size in (1, 2, 6):
        pictures = evaluate(Truth(source.episodes), source, [5, 3, 1, 0], batch_size=size).pictures
        assert [picture.episode for picture in pictures] == [5, 3, 1][:PICTURED_EPISODES]
    asked = [7 + step for step in pictures[1].steps]
    np.testing.assert_array_equal(pictures[1].truth, source.episodes[3].obs[asked])
    np.testing.assert_allclose(pictures[1].imagined, source.episodes[3].obs[asked] / 255, rtol=1e-6)
    np.testing.assert_array_equal(pictures[1].context, source.episodes[3].obs[5:7])


@pytest.mark.parametrize("query", [1, 3, 500])
def test_pictured_steps_are_different_and_hold_both_ends(query: int) -> None:
    steps = pictured_steps(query)
    assert steps[0] == 0
    assert steps[-1] == query - 1
    assert len(set(steps)) == len(steps) <= 8


def test_teleported_episodes_are_counted() -> None:
    source = MemorySource(3, teleport=2)
    assert evaluate(CopyLast(), source, source.indices, batch_size=2).teleported == 3


def test_nothing_to_evaluate_is_refused() -> None:
    with pytest.raises(ValueError, match="0 episodes in batches of 8"):
        evaluate(CopyLast(), MemorySource(1), [])
    with pytest.raises(ValueError, match="1 episodes in batches of 0"):
        evaluate(CopyLast(), MemorySource(1), [0], batch_size=0)
