"""The constant probes, on numbers that can be worked out by hand."""

import numpy as np
import pytest

from longdream.eval.probing_floors import likely_walls, mean_vectors, object_error, wall_accuracy


def test_walls_are_answered_with_what_is_more_frequent():
    mazes = np.array([[[1, 0], [1, 0]], [[1, 1], [0, 0]], [[1, 0], [1, 0]]], np.uint8)
    answer = likely_walls(mazes)
    assert answer.tolist() == [[1, 0], [1, 0]]
    assert wall_accuracy(answer, mazes).tolist() == [1, 0.5, 1]


def test_no_constant_answer_has_more_cells_right():
    mazes = np.random.default_rng(0).integers(2, size=(21, 3, 3))
    best = wall_accuracy(likely_walls(mazes), mazes).mean()
    others = np.random.default_rng(1).integers(2, size=(50, 3, 3))
    assert best >= max(wall_accuracy(other, mazes).mean() for other in others)


def test_objects_are_answered_with_their_mean():
    vectors = np.zeros((2, 3, 2, 2), np.float32)  # N T M 2
    vectors[0, :, 1] = (3, 4)
    answer = mean_vectors(vectors)
    assert answer.tolist() == [[0, 0], [1.5, 2]]
    assert object_error(answer, vectors) == pytest.approx([6.25 / 2, 6.25 / 2])  # over 2 objects
    assert object_error(np.zeros((2, 2)), vectors) == pytest.approx([25 / 2, 0])


def test_the_error_is_the_spread_of_the_vectors():
    """Whatever their number: mean over trajectories, steps and objects, sum over coordinates."""
    vectors = np.random.default_rng(2).normal(size=(400, 20, 3, 2)) * [1, 2]
    assert object_error(mean_vectors(vectors), vectors).mean() == pytest.approx(5, abs=0.1)
