"""The importer's self-check against the package memory_maze, by which the official data were made."""

import numpy as np
import pytest

from longdream.datasets.convert.memory_maze import MemoryMazeFolder
from longdream.datasets.convert.source import Wishes
from longdream.tests.collectors.stock_mazes import stock  # noqa: F401 (a fixture)

STEPS = 40


@pytest.fixture
def official(stock):  # noqa: F811
    """Arrays as the package's "ExtraObs" gives them, under the names of the official files."""
    maze, rng = stock(9, 3), np.random.default_rng(0)
    observations, action, reward = [maze.observation], np.zeros((STEPS, 6)), np.zeros(STEPS)
    for t in range(1, STEPS):
        chosen = rng.choice([1, 1, 1, 4, 5])  # forward, and forward while turning
        action[t, chosen], reward[t] = 1, maze.step(chosen).reward
        observations.append(maze.observation)
    sides = {name: np.stack([seen[name] for seen in observations]) for name in observations[0]}
    return sides | {"action": action, "reward": reward}


def test_the_packages_own_observations_pass(tmp_path, official):
    np.savez(tmp_path / "20220920T000000-40.npz", **official)
    source = MemoryMazeFolder(tmp_path, Wishes(context=20))
    assert source.info.environment == "memory_maze_9x9"
    assert np.ptp(official["agent_pos"], 0).max() > 0.3  # it went somewhere
    np.testing.assert_array_equal(source.episode(0).obs, official["image"])


@pytest.mark.parametrize("name", ["maze_layout", "agent_pos", "targets_vec"])
def test_with_two_axes_swapped_they_do_not(tmp_path, official, name):
    values = official[name]
    official[name] = values.swapaxes(1, 2) if name == "maze_layout" else values[..., ::-1]
    np.savez(tmp_path / "20220920T000000-40.npz", **official)
    with pytest.raises(ValueError, match=r"20220920T000000-40\.npz"):
        MemoryMazeFolder(tmp_path, Wishes(context=20))
