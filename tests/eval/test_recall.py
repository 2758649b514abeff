"""Recall after a teleport: what a model sees of the query, and which steps are averaged."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from longdream.eval import imagination, trials
from longdream.eval.evaluation import evaluate
from longdream.eval.floors import recall_floors
from longdream.eval.recall import GIVEN, Recall, RecallCurve, RecallError, chosen
from longdream.tests.eval.eval_stubs import (
    CopyLast,
    FrameModel,
    MeanContext,
    MemorySource,
    Noisy,
    Peeking,
    Truth,
    make_episode,
)

K = (0, 1, 3)


def teleported(count: int, **options) -> MemorySource:
    """Episodes of context 9 and query 6, which start their queries from different steps of the context."""
    source = MemorySource(0)
    source.episodes = [make_episode(i, 9, 6, teleport=i % 4, posed=True, **options) for i in range(count)]
    source.indices = list(range(count))
    return source


def recall_of(model: FrameModel, source: MemorySource, indices: list[int], **options) -> Recall:
    found = evaluate(model, source, indices, **options).recall
    assert found is not None
    return found


def values(curve: RecallCurve) -> tuple[list[float], list[float]]:
    return [i.value for i in curve.rest], [i.value for i in curve.common]


@pytest.mark.parametrize(("model", "floor"), [(CopyLast, "copy_last"), (MeanContext, "mean_context")])
def test_a_model_that_imagines_a_floor_of_what_it_was_shown_scores_the_floor(
    model: type[FrameModel], floor: str
) -> None:
    """The stubs go on from all frames that they were shown, so a frame too many or too few would show."""
    source = teleported(5)
    found = recall_of(model(), source, source.indices, batch_size=2, given=K)
    assert found.given == K
    assert found.episodes == 5
    for mine, theirs in zip(values(found.model), values(getattr(found, floor)), strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=1e-6)
        assert min(mine) > 0


def test_figures_equal_a_slow_computation() -> None:
    source = teleported(3, pad=1)
    found = recall_of(CopyLast(), source, source.indices, batch_size=2, given=K)
    for place, k in enumerate(K):
        rest, common = [], []
        for episode in source.episodes:
            frames = episode.obs / 255
            errors = [((frames[t] - frames[9 + k - 1]) ** 2).sum() for t in range(9 + k, 14)]  # step 14 is padding
            rest.append(np.mean(errors))
            common.append(np.mean(errors[max(K) - k :]))
        for mine, slow in ((found.model.rest[place], rest), (found.model.common[place], common)):
            assert mine.value == pytest.approx(np.mean(slow), rel=1e-6)
            assert mine.high - mine.value == pytest.approx(1.959964 * np.std(slow, ddof=1) / 3**0.5, rel=1e-5)


def test_floors_equal_a_slow_computation(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("longdream.eval.floors.STEPS_AT_ONCE", 4)
    frames = np.random.default_rng(0).integers(0, 256, (2, 15, 3, 4, 5), dtype=np.uint8)
    tensor = torch.from_numpy(frames)
    found = recall_floors(tensor[:, :9], tensor[:, 9:], K)
    for place, k in enumerate(K):
        shown, asked = frames[:, : 9 + k] / 255, frames[:, 9 + k :] / 255
        for name, floor in (("copy_last", shown[:, -1:]), ("mean_context", shown.mean(1, keepdims=True))):
            expected = ((asked - floor) ** 2).sum((2, 3, 4))
            np.testing.assert_allclose(found[name][place].numpy(), expected, rtol=1e-10)


def test_the_truth_is_recalled_without_error_and_so_does_the_oracle() -> None:
    source = teleported(4)
    found = recall_of(Truth(source.episodes), source, source.indices, given=K)
    assert found.nearest_pose is not None
    for curve in (found.model, found.nearest_pose):
        assert [i.value for i in (*curve.rest, *curve.common)] == [0] * 6


def test_nothing_given_is_the_generation_itself() -> None:
    source = teleported(4)
    found = evaluate(CopyLast(), source, source.indices, given=K)
    assert found.recall is not None
    assert found.recall.model.rest[0].value == pytest.approx(found.generation.every.mse, rel=1e-12)


def test_a_model_that_peeks_finds_no_frame_beyond_k() -> None:
    """It looks behind everything that it is handed: the last of the frames shown is all that there is."""
    source = teleported(3)
    found = recall_of(Peeking(), source, source.indices, batch_size=2, given=K)
    for mine, floor in zip(values(found.model), values(found.copy_last), strict=True):
        np.testing.assert_allclose(mine, floor, rtol=1e-6)


def test_the_context_is_observed_once_and_the_frames_given_follow_one_by_one() -> None:
    calls: list[tuple] = []
    source = teleported(1)

    class Recording(CopyLast):
        def observe(self, batch, state=None, generators=None):
            calls.append(("observe", batch.obs.shape[1], state is None))
            return super().observe(batch, state)

        def imagine(self, state, actions, generators=None):
            calls.append(("imagine", actions.shape[1], state.context.shape[1]))
            np.testing.assert_array_equal(actions[0], source.episodes[0].action[state.context.shape[1] :])
            return super().imagine(state, actions, generators)

    batch = trials.load(source, [0], [0], trials.layout(source.episodes[0]))
    imagination.run(Recording(), batch, seed=0, given=K)
    assert calls == [
        ("observe", 9, True),
        ("imagine", 6, 9),
        ("observe", 1, False),
        ("imagine", 5, 10),
        ("observe", 1, False),
        ("observe", 1, False),
        ("imagine", 3, 12),
        ("observe", 15, True),
    ]


class Unsure(Noisy):
    """Remembers what it sees with noise, too."""

    def observe(self, batch, state=None, generators=None):
        beliefs = super().observe(batch, state, generators)
        new = beliefs.state.context[:, -batch.obs.shape[1] :]
        new += torch.stack([torch.rand(row.shape, generator=g) for row, g in zip(new, generators, strict=True)])
        return beliefs


def test_neither_batch_size_nor_other_k_change_a_draw() -> None:
    source = teleported(5)
    one = recall_of(Unsure(), source, source.indices, batch_size=1, given=K)
    three = recall_of(Unsure(), source, source.indices, batch_size=3, given=K)
    last = recall_of(Unsure(), source, source.indices, given=K[-1:])
    np.testing.assert_allclose(values(one.model), values(three.model), rtol=1e-12)
    assert last.model.rest[0].value == pytest.approx(one.model.rest[-1].value, rel=1e-12)
    assert one.model.rest[-1].value != pytest.approx(one.copy_last.rest[-1].value, rel=1e-3)  # it did draw


def test_only_teleported_episodes_count() -> None:
    source = teleported(4)
    mixed = teleported(4)
    mixed.episodes[1], mixed.episodes[3] = make_episode(1, 9, 6, posed=True), make_episode(3, 9, 6, posed=True)
    found = recall_of(CopyLast(), mixed, [0, 1, 2, 3], batch_size=3, given=K)
    expected = recall_of(CopyLast(), source, [0, 2], batch_size=1, given=K)
    assert found == expected
    assert found.episodes == 2


def test_without_a_teleport_there_is_no_recall() -> None:
    source = MemorySource(2)
    assert evaluate(CopyLast(), source, source.indices).recall is None
    assert evaluate(CopyLast(), teleported(2), [0, 1], given=()).recall is None


def test_frames_given_leave_something_to_imagine() -> None:
    assert chosen(None, 500) == GIVEN
    assert chosen(None, 6) == (0, 1, 2, 5)
    assert chosen((3, 1, 3), 4) == (1, 3)
    for wrong in (4, -1):
        with pytest.raises(ValueError, match=f"{wrong} frames after the teleport: the query has 4, so give 0 to 3"):
            chosen((0, wrong), 4)


def test_a_window_of_padding_alone_is_not_a_number() -> None:
    metric = RecallError((0, 2), episodes=1)
    errors = [torch.ones(1, 3, dtype=torch.float64), torch.ones(1, 1, dtype=torch.float64)]
    metric.update(errors, torch.tensor([[True, True, False]]), torch.tensor([0]))
    found = metric.compute()
    assert found is not None
    assert found.rest[0].value == 1
    assert np.isnan(found.common[0].value)
