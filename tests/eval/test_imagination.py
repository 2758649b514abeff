"""The protocol: what a model gets to see, in what order, and with which draws."""

from __future__ import annotations

import pytest
import torch

from longdream.eval import imagination, trials
from longdream.eval.floors import floors
from longdream.eval.metrics import squared_error
from longdream.tests.eval.eval_stubs import CopyLast, MemorySource, Peeking, Truth


def load(source: MemorySource, *indices: int) -> trials.Trials:
    return trials.load(source, indices, range(len(indices)), trials.layout(source.episodes[0]))


def test_a_model_that_peeks_finds_nothing() -> None:
    source = MemorySource(2)
    batch = load(source, 0, 1)
    outcome = imagination.run(Peeking(), batch, seed=0)
    torch.testing.assert_close(
        outcome.generation, floors(batch, ()).copy_last
    )  # the last frame is all that it could find
    assert outcome.generation.min() > 0


def test_peeking_would_pay_if_a_view_were_handed_over() -> None:
    """The test above can fail: the same model cheats on a window that is only a view."""
    batch = load(MemorySource(1), 0)
    images = batch.batch.obs.contiguous()
    model = Peeking()
    beliefs = model.observe(batch.batch._replace(obs=images).window(0, 7))
    latent, _ = model.imagine(beliefs.state, batch.query_actions())
    assert squared_error(model.predict(latent).obs, images[:, 7:]).max() == 0


def test_the_model_imagines_before_it_sees_the_query() -> None:
    calls = []

    class Recording(CopyLast):
        def observe(self, batch, state=None, generators=None):
            calls.append(f"observe {batch.obs.shape[1]}")
            return super().observe(batch, state)

        def imagine(self, state, actions, generators=None):
            calls.append(f"imagine {actions.shape[1]}")
            return super().imagine(state, actions, generators)

    imagination.run(Recording(), load(MemorySource(1), 0), seed=0)
    assert calls == ["observe 7", "imagine 4", "observe 11"]


def test_truth_scores_zero_and_tells_every_reward() -> None:
    source = MemorySource(4)
    outcome = imagination.run(Truth(source.episodes), load(source, 0, 1, 2, 3), seed=0, keep=(0, 3))
    assert outcome.generation.abs().max() == outcome.reconstruction.abs().max() == 0
    assert torch.equal(outcome.reward_imagined, outcome.reward_true)
    assert outcome.reward_true.tolist() == [False, True, False, True]
    query = load(source, 0, 1, 2, 3).batch.obs[:, 7:]
    assert torch.equal(outcome.frames, query[:, [0, 3]].float() / 255)


def test_frames_are_kept_across_stretches_of_decoding(monkeypatch: pytest.MonkeyPatch) -> None:
    source = MemorySource(2, query=9)
    whole = imagination.run(Truth(source.episodes), load(source, 0, 1), seed=0, keep=(0, 2, 3, 8))
    monkeypatch.setattr(imagination, "STEPS_AT_ONCE", 3)
    parts = imagination.run(Truth(source.episodes), load(source, 0, 1), seed=0, keep=(0, 2, 3, 8))
    assert torch.equal(whole.frames, parts.frames)
    assert torch.equal(whole.frames, load(source, 0, 1).batch.obs[:, [7, 9, 10, 15]].float() / 255)


def test_the_reward_before_the_last_step_does_not_count() -> None:
    source = MemorySource(2)
    source.episodes[0].reward[:-1] = 1.0  # rewarded all along, but not at the end
    outcome = imagination.run(CopyLast(), load(source, 0, 1), seed=0)
    assert outcome.reward_true.tolist() == outcome.reward_inferred.tolist() == [False, True]


def test_every_episode_and_run_draws_from_a_seed_of_its_own() -> None:
    def first_draw(seed: int, index: int, run: int) -> float:
        return torch.rand((), generator=imagination.generators(seed, [index], run)[0]).item()

    draws = {first_draw(seed, index, run) for seed in (0, 1) for index in (0, 1, 2) for run in (0, 1)}
    assert len(draws) == 12
    assert first_draw(1, 2, 0) == first_draw(1, 2, 0)


def test_images_that_are_not_finite_are_an_error_with_the_step() -> None:
    class Diverging(CopyLast):
        def next_frame(self, state):
            return super().next_frame(state) * (float("inf") if state.step == 2 else 1)

    with pytest.raises(ValueError, match="not finite from step 2 on"):
        imagination.run(Diverging(), load(MemorySource(1), 0), seed=0)
