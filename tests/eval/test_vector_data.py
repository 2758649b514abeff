"""Evaluation of vectors, and of episodes that are not all as long: errors against plain numpy, episode by episode."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

from longdream.datasets.episode import Episode, EpisodeSpec
from longdream.eval.curves import save_vectors
from longdream.eval.evaluation import evaluate, side_by_side
from longdream.eval.film import shoot
from longdream.eval.metrics import squared_error
from longdream.eval.results import psnr
from longdream.tests.eval.eval_stubs import CopyLast, FrameModel, MemorySource, make_episode

FEATURES = 5
PHASES = [(7, 4), (3, 6), (7, 4), (5, 2), (7, 4), (3, 6)]  # context and query of each episode


class CopyVector(CopyLast):
    """Imagines the last vector of the context; what it sees it reconstructs with an error of 0.5 in each feature."""

    def observe(self, batch, state=None, generators=None):
        seen = super().observe(batch._replace(obs=255 * batch.obs), state)
        latent = self.latent(batch.obs + 0.5, batch.reward)
        return seen._replace(latent=latent)


class Late(CopyLast):
    """Reconstructs the first image of an episode wrongly, by 1 in one pixel, and all others exactly."""

    def observe(self, batch, state=None, generators=None):
        seen = super().observe(batch, state)
        frames = batch.obs.float() / 255
        frames[:, 0, 0, 0, 0] += 1
        return seen._replace(latent=self.latent(frames, batch.reward))


def vector_episode(index: int) -> Episode:
    context, query = PHASES[index]
    plain = make_episode(index, context, query)
    obs = np.random.default_rng(index).normal(0, 50, (len(plain), FEATURES)).astype(np.float32)
    return dataclasses.replace(plain, obs=obs)


@pytest.fixture
def vectors() -> MemorySource:
    source = MemorySource(len(PHASES))
    source.episodes = [vector_episode(index) for index in range(len(PHASES))]
    return source


def test_the_error_of_vectors_is_summed_over_them_in_their_own_units():
    truth, predicted = torch.randn(2, 3, 4), torch.randn(2, 3, 4)
    expected = ((predicted.double() - truth.double()) ** 2).sum(-1)
    torch.testing.assert_close(squared_error(predicted, truth), expected, rtol=1e-5, atol=1e-6)
    assert np.isnan(psnr(3.0, (4,)))


@pytest.mark.parametrize("batch_size", [1, 2, 4])
def test_every_figure_is_that_of_the_episodes_one_by_one(vectors, batch_size):
    found = evaluate(CopyVector(), vectors, vectors.indices, batch_size=batch_size)
    assert (found.layout.context, found.layout.query, found.layout.obs) == (7, 6, (FEATURES,))
    assert found.layout.varied
    queries = [episode.obs[episode.context :].astype(np.float64) for episode in vectors.episodes]
    last = [episode.obs[episode.context - 1] for episode in vectors.episodes]
    errors = [((query - start) ** 2).sum(1) for query, start in zip(queries, last, strict=True)]
    for measured in (found.copy_last, found.generation):
        np.testing.assert_allclose(measured.every.mse, np.concatenate(errors).mean(), rtol=1e-5)
        np.testing.assert_allclose(measured.every.episodes, [error.mean() for error in errors], rtol=1e-5)
        curve = [np.mean([error[step] for error in errors if len(error) > step]) for step in range(6)]
        np.testing.assert_allclose(measured.every.curve, curve, rtol=1e-5)
        counts = [sum(len(error) > step for error in errors) for step in range(6)]
        np.testing.assert_array_equal(measured.every.step_count, counts)
    means = [episode.obs[: episode.context].mean(0, dtype=np.float64) for episode in vectors.episodes]
    of_mean = np.concatenate([((query - mean) ** 2).sum(1) for query, mean in zip(queries, means, strict=True)])
    np.testing.assert_allclose(found.mean_context.every.mse, of_mean.mean(), rtol=1e-5)
    np.testing.assert_allclose(found.reconstruction.every.mse, FEATURES / 4, rtol=1e-4)
    assert found.reconstruction.every.step_count.sum() == sum(map(sum, PHASES))
    assert not found.pictures


def test_first_steps_and_queries_of_episodes_of_any_length_are_counted_as_such():
    """The first step is left out of the headline whatever the context's length, and queries are queries."""
    source = MemorySource(len(PHASES))
    source.episodes = [make_episode(index, *phases) for index, phases in enumerate(PHASES)]
    seen = evaluate(Late(), source, source.indices, batch_size=2).reconstruction.every
    np.testing.assert_allclose(seen.step_total[0], len(PHASES), rtol=1e-4)
    assert seen.from_second < 1e-9
    assert seen.step_count[0] == len(PHASES)
    np.testing.assert_array_equal(seen.step_count[7:], [6, 6, 5, 5, 2, 2])
    assert seen.window(7) < 1e-9


def test_only_episodes_of_one_length_lie_side_by_side():
    extents = [EpisodeSpec(*phases) for phases in PHASES]
    assert side_by_side(extents, 2) == [[0, 2], [4], [1, 5], [3]]
    assert side_by_side(extents[:1] * 5, 2) == [[0, 1], [2, 3], [4]]


def test_an_episode_without_a_query_is_refused_before_the_work(vectors):
    vectors.episodes[3] = dataclasses.replace(vectors.episodes[3], context=7)
    with pytest.raises(ValueError, match=r"7 steps with a context of 7 has no query"):
        evaluate(CopyVector(), vectors, vectors.indices)


def test_curves_are_drawn_of_the_very_numbers(vectors, tmp_path):
    model: FrameModel = CopyVector()
    film = shoot({"copy": model}, vectors, 1, 0, torch.device("cpu"))
    np.testing.assert_array_equal(film.truth, vectors.episodes[1].obs)
    np.testing.assert_allclose(film.takes[0].frames[:3], film.truth[:3] + 0.5, rtol=1e-5)
    np.testing.assert_allclose(film.takes[0].frames[3:], np.repeat(film.truth[2:3], 6, 0), rtol=1e-4)
    save_vectors(film, tmp_path / "vectors.png")
    assert (tmp_path / "vectors.png").stat().st_size > 5000
