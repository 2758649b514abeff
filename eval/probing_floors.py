"""The floor of probing: what a probe scores that looks at nothing and always gives the same answer.

The walls of a maze are answered cell by cell with what is more frequent among training mazes; the way to each object
with its mean over training trajectories. The second number also tells how the agent that made the data moves about.

Source: Pasukonis et al., Evaluating Long-Term Memory in 3D Mazes (Memory Maze), 2022; the "Constant" rows.

Axes: N trajectories, T steps, S cells across a maze, M objects.
"""

from __future__ import annotations

import numpy as np


def likely_walls(layouts: np.ndarray) -> np.ndarray:
    """Return the best constant answer to training mazes `maze_layout` (N S S): (S S) uint8, 1 where one can walk."""
    return (layouts.mean(0) > 0.5).astype(np.uint8)


def wall_accuracy(answer: np.ndarray, layouts: np.ndarray) -> np.ndarray:
    """Return the share of the cells that an answer (S S) has right, per maze: (N) for layouts (N S S)."""
    return (answer == layouts).mean((1, 2))


def mean_vectors(vectors: np.ndarray) -> np.ndarray:
    """Return the best constant answer to training trajectories `targets_vec` (N T M 2): (M 2) float64, cells."""
    return vectors.mean((0, 1), dtype=np.float64)


def object_error(answer: np.ndarray, vectors: np.ndarray) -> np.ndarray:
    """Return the error of an answer (M 2) per trajectory: (N) for vectors (N T M 2).

    It is the published tables': squared, cells^2, summed over the two coordinates, mean over objects and steps.
    """
    return ((vectors - answer) ** 2).sum(-1).mean((1, 2))
