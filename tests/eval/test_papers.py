"""The figures in print, against the tables as their text has them; and when they may stand beside ours."""

from __future__ import annotations

import pytest

from longdream.collectors.catalogue import ENVIRONMENTS
from longdream.eval import papers
from longdream.eval.trials import Layout

# As the tables' text has them, row by row, left to right: reconstruction and generation; inference and imagination.
TABLE_1 = """
RSSM-TBTT 1.7 62.2 1.5 219.4 1.5 323.1
TSSM-XL 2.5 62.9 2.4 224.4 2.6 360.4
S4WM 1.8 27.3 1.7 44.0 1.8 224.4
"""
TABLE_2 = """
RSSM-TBTT 47.9 49.6 48.7 48.4 50.4 52.2
TSSM-XL 100.0 51.2 99.9 51.3 50.4 51.0
S4WM 100.0 100.0 100.0 100.0 100.0 100.0
"""
TABLE_3 = """
RSSM-TBTT 0.05 5.16 0.04 6.36 0.03 6.28
TSSM-XL 0.05 1.27 0.03 6.05 0.02 9.24
S4WM 0.01 0.04 0.02 0.27 0.02 0.10
"""
IMAGES = {"distracting_memory": (40, 40, 3), "multi_doors_keys": (40, 40, 3)}


def found(table: str, pair: tuple[str, str], scale: float) -> str:
    """The rows of a table in the form of its text."""
    lines: dict[str, list[str]] = {}
    for row in papers.PUBLISHED:
        if row.source.endswith(table):
            digits = 2 if table == "Table 3" else 1
            lines.setdefault(row.model, [row.model]).extend(f"{scale * getattr(row, p):.{digits}f}" for p in pair)
    return "\n" + "\n".join(" ".join(line) for line in lines.values()) + "\n"


def test_tables_are_as_printed() -> None:
    errors = ("reconstruction", "generation")
    assert found("Table 1", errors, 1) == TABLE_1
    assert found("Table 2", ("inference", "imagination"), 100) == TABLE_2
    assert found("Table 3", errors, 1) == TABLE_3
    assert "S4WM-Full-Posterior 1.7 38.0 2.0 171.1" in found("Table 4", errors, 1)
    assert "TSSM-XL (m = 512) 2.4 38.4 2.5 277.6" in found("Table 5", errors, 1)
    constant = next(row for row in papers.PROBING if row.model == "constant")
    assert constant[2:] == (0.808, 0.783, 23.9, 64.8)
    names = [row.model for row in papers.PROBING]
    assert sorted(set(names)) == sorted(names)


def rows_of(name: str, **changes) -> list[papers.Published]:
    """The paper's rows for data of our environment `name`, as a data set's dataset.json describes them."""
    environment = ENVIRONMENTS[name]
    options = vars(environment.options) | changes
    spec = environment.spec(type(environment.options)(**options))
    image = next(
        (shape for prefix, shape in IMAGES.items() if name.startswith(prefix)), (options.get("size", 64),) * 2 + (3,)
    )
    return papers.comparable(name, options, Layout(spec.context, spec.length, image, 6))


@pytest.mark.parametrize(
    ("name", "changes", "rows"),
    [
        ("two_rooms", {}, 3),
        ("four_rooms", {"renderer": "mujoco"}, 7),
        ("ten_rooms", {}, 7),
        ("distracting_memory", {}, 3),
        ("distracting_memory", {"width": 400}, 3),
        ("distracting_memory_200", {}, 3),
        ("multi_doors_keys_five", {}, 3),
        ("multi_doors_keys", {"keys": 7}, 3),
        ("four_rooms", {"size": 32}, 0),
        ("distracting_memory", {"width": 14}, 0),
        ("distracting_memory", {"distractors": 0.1}, 0),
        ("multi_doors_keys_two", {}, 0),
        ("two_rooms_teleport", {"query": 200}, 0),
        ("memory_maze_9x9", {}, 0),
    ],
)
def test_the_papers_rows_stand_beside_its_own_tasks_only(name: str, changes: dict, rows: int) -> None:
    assert len(rows_of(name, **changes)) == rows


def test_another_length_is_another_task() -> None:
    options = {"size": 64, "renderer": "raycast"}
    assert papers.comparable("four_rooms", options, Layout(501, 1001, (64, 64, 3), 6))
    assert not papers.comparable("four_rooms", options, Layout(501, 1000, (64, 64, 3), 6))


def test_other_sizes_are_named() -> None:
    assert [(t.context, t.query) for t in papers.other_sizes("distracting_memory")] == [
        (199, 51),
        (399, 101),
        (799, 201),
    ]
    assert [t.options["keys"] for t in papers.other_sizes("multi_doors_keys_two")] == [3, 5, 7]
    assert papers.other_sizes("memory_maze_9x9") == []
