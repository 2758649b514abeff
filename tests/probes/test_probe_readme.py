"""The probe that the README adds: what is printed there is what is run here."""

import re
from pathlib import Path

import pytest

import longdream
from longdream.probes import catalogue
from longdream.probes.catalogue import chosen, fitting
from longdream.probes.examination import CONSTANT, LABELS, Protocol, examine, mean_of_episodes
from longdream.probes.training import Training
from longdream.tests.probes.probe_toys import small


@pytest.fixture
def added(monkeypatch):
    """Add the README's probe to the catalogue, as it says."""
    readme = (Path(longdream.__file__).parent / "README.md").read_text()
    code = next(block for block in re.findall(r"```python\n(.*?)```", readme, re.DOTALL) if "(Classes)" in block)
    module = {"__name__": "longdream.probes.room", "__package__": "longdream.probes"}
    exec(code, module)
    monkeypatch.setattr(catalogue, "TASKS", [*catalogue.TASKS, module["Room"]()])


@pytest.mark.usefixtures("added")
def test_it_runs_where_its_arrays_are(data):
    rooms, mazes = data("two_rooms"), data("memory_maze_9x9")
    assert "room" in [task.name for task in fitting(rooms.info)]
    assert "room" not in [task.name for task in fitting(mazes.info)]
    task = small(chosen(["room"], rooms.info)[0])
    episodes = [int(episode) for episode in rooms.indices]
    training = Training(steps=100, blocks=12, block=10, lr=1e-2)
    rows = examine(task, [CONSTANT, LABELS], None, Protocol(rooms, episodes, episodes[:4], training, "cpu")).rows
    constant, labels = (mean_of_episodes(rows[name].marks.query, task.measure).value for name in (CONSTANT, LABELS))
    assert labels == 1
    assert constant < 0.9
