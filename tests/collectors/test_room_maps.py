"""Maps of rooms: the three that come with it, maps that a user may draw, and broken ones."""

import textwrap

import numpy as np
import pytest

from longdream.collectors.cli import main
from longdream.collectors.envs.map_parser import parse
from longdream.collectors.envs.room_map import NO_ROOM, Box, Point
from longdream.collectors.envs.room_maps import ROOM_MAPS, MapSource, camel_case, room_map, spec_of

SHAPES = {"two_rooms": (7, 14), "four_rooms": (14, 14), "ten_rooms": (14, 35)}

TREE = """
    *************
    *AA....BB****
    *AA****BB****
    **.**********
    **..*********
    ***.*********
    **CC.DD*EE***
    **CC*DD.EE***
    *************
"""

BROKEN = {
    "edge": ("*******\n*AA.BB*\n*AA*BB\n*******", "line 3: room B is not closed: column 6 is floor at the edge"),
    "short line": ("*******\n*AA.BB*\n*AA*BB*\n*****", "line 3: room B is not closed: column 6"),
    "first line": ("*AA****\n*AA.BB*\n*AA*BB*\n*******", "line 1: room A is not closed: column 2"),
    "open passage": ("*******\n*AA.BB*\n*AA*BB*\n**.****", "line 4: the passage is not closed: column 3"),
    "touch": ("*******\n*AABBB*\n*AABBB*\n*******", "line 2: rooms A and B touch in column 3: put a wall"),
    "unreachable": (
        "**********\n*AA.BB*CC*\n*AA*BB*CC*\n**********",
        "line 2: room C cannot be reached from room A",
    ),
    "token": ("*******\n*AA.BB*\n*AA#BB*\n*******", "line 3: unknown token '#' in column 4; a map is made of '*'"),
    "hole": ("*******\n*AA.BB*\n*AA BB*\n*******", "line 3: unknown token ' ' in column 4"),
    "accent": ("*******\n*ÄÄ.BB*\n*ÄÄ*BB*\n*******", "line 2: unknown token 'Ä' in column 2"),
    "not a rectangle": ("********\n*AAA.BB*\n*AA**BB*\n********", "line 3: room A is not a rectangle: it is to fill"),
    "in two parts": ("*******\n*AA.BB*\n*AA*BB*\n*******\n*AA****\n*AA****\n*******", "line 4: room A is not a rect"),
    "narrow": ("******\n*AA.B*\n*AA*B*\n******", "line 2: room B is too narrow: 2 cells across or more"),
    "dead end": ("********\n*AA.*BB*\n*AA..BB*\n********", "branches, or is wider than one cell"),
    "no way on": ("*********\n*AA.BB..*\n*AA*BB***\n*********", "line 2: the passage in column 8 is a dead end"),
    "fork": ("*********\n*AA...BB*\n*AA*.*BB*\n***CC****\n***CC****\n*********", "in column 5 branch"),
    "loop": ("*****\n*AA.*\n*AA.*\n*****", "rooms drawn: 1; two or more"),
    "same room": ("*******\n*AA..**\n*AA*.**\n*AA..**\n*AA****\n*AA.BB*\n*AA*BB*\n*******", "back to the same room"),
    "island": ("*********\n*AA.BB*.*\n*AA*BB***\n*********", "line 2: the passage in column 8 leads to no room"),
    "one room": ("****\n*AA*\n*AA*\n****", "rooms drawn: 1; two or more"),
    "no room": ("****\n****", "rooms drawn: 0"),
    "empty": ("\n  \n", "it is empty"),
}


@pytest.mark.parametrize("name", list(SHAPES))
def test_the_maps_are_rings_of_rooms(name):
    """Rooms of 5 x 5 cells, gaps of 2 cells, passages one cell wide."""
    rooms = room_map(name)
    count = len(rooms.boxes)
    assert rooms.walls.shape == SHAPES[name]
    assert rooms.tour == tuple(range(count))
    assert len(rooms.ways) == (2 if count == 2 else 2 * count)
    assert all((right - left, top - bottom) == (5, 5) for left, right, bottom, top in rooms.boxes)
    assert [(rooms.room_id == room).sum() for room in range(count)] == [25] * count
    passages = ~rooms.walls & (rooms.room_id == NO_ROOM)
    assert passages.sum() == len(rooms.ways) // 2 * 2
    for a, b in rooms.ways.values():
        assert abs(a.x - b.x) + abs(a.y - b.y) == 3


def test_geometry_is_in_cells_from_the_bottom_left():
    rooms = room_map("four_rooms")
    assert rooms.boxes[0] == Box(1, 6, 8, 13)
    assert rooms.boxes[2] == Box(8, 13, 1, 6)
    assert rooms.ways[0, 1] == (Point(5.5, 10.5), Point(8.5, 10.5))
    assert rooms.ways[0, 3] == (Point(3.5, 8.5), Point(3.5, 5.5))
    width = rooms.walls.shape[1]
    assert not rooms.solid[10 * width + 6]  # the passage from A to B
    assert rooms.solid[9 * width + 6]
    assert rooms.layout.shape == (12, 12)
    assert rooms.layout[9, 5]  # the same cell without the outer walls
    assert not rooms.layout[8, 5]
    assert rooms.cells[0].min(0).tolist() == [0.5, 7.5]


def test_walls_belong_to_the_sides_of_rooms():
    rooms = room_map("two_rooms")
    faces = rooms.faces  # room 0: 0 west, 1 east, 2 south, 3 north; room 1: 4 to 7
    assert (faces[1:6, 0] == 0).all()
    assert (faces[[1, 2, 4, 5], 6] == 1).all()
    assert (faces[6, 1:6] == 2).all()
    assert (faces[0, 1:6] == 3).all()
    assert (faces[[1, 2, 4, 5], 7] == 4).all()
    assert (faces[1:6, 13] == 5).all()
    assert set(faces.ravel()) == set(range(8))


@pytest.mark.parametrize("name", list(BROKEN))
def test_a_broken_map_names_the_line_and_the_fault(name, monkeypatch):
    text, said = BROKEN[name]
    with pytest.raises(ValueError) as caught:  # noqa: PT011 (the message is compared below)
        parse(text)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)
    monkeypatch.setitem(ROOM_MAPS, "mine", MapSource("mine", textwrap.indent(text, "    ")))
    with pytest.raises(ValueError, match=r"^room map 'mine': "):
        spec_of("mine")


def test_a_map_without_a_ring_is_toured_there_and_back():
    rooms = parse(TREE)
    assert rooms.letters == tuple("ABCDE")
    assert rooms.tour == (0, 1, 0, 2, 3, 4, 3, 2)
    assert rooms.ways[0, 2] == (Point(2.5, 6.5), Point(2.5, 4.5), Point(3.5, 4.5), Point(3.5, 2.5))
    assert rooms.ways[2, 0] == rooms.ways[0, 2][::-1]
    steps = zip(rooms.tour, rooms.tour[1:] + rooms.tour[:1], strict=True)
    assert all(step in rooms.ways for step in steps)


def test_lengths_of_a_new_map(monkeypatch):
    monkeypatch.setitem(ROOM_MAPS, "tree_of_rooms", MapSource("a tree", TREE))
    assert spec_of("tree_of_rooms") == (901, 900)
    monkeypatch.setitem(ROOM_MAPS, "tree_80", MapSource("a tree", TREE, query_visits=2, visit=80))
    assert spec_of("tree_80") == (721, 160)
    assert camel_case("tree_of_rooms") == "TreeOfRooms"


def test_a_visit_that_is_too_short_is_refused(monkeypatch):
    monkeypatch.setitem(ROOM_MAPS, "hasty", MapSource("too fast", ROOM_MAPS["two_rooms"].text, visit=50))
    with pytest.raises(ValueError, match="through room A to room B may take 73 steps, a visit has 50"):
        room_map("hasty")


def test_an_unknown_map_is_refused():
    with pytest.raises(ValueError, match="no rooms 'three_rooms'; there are two_rooms"):
        room_map("three_rooms")


@pytest.mark.parametrize("words", [["--list"], ["--env", "two_rooms", "--n", "4", "--out", "x"]])
def test_collect_says_in_one_line_what_is_wrong_with_a_map(monkeypatch, capsys, tmp_path, words):
    monkeypatch.chdir(tmp_path)
    broken = ROOM_MAPS["two_rooms"].text.replace("*AAAAA..", "*AAAAA?.")
    monkeypatch.setitem(ROOM_MAPS, "two_rooms", MapSource("broken", broken))
    room_map.cache_clear()
    with pytest.raises(SystemExit) as stop:
        main(words)
    room_map.cache_clear()
    assert stop.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("collect: room map 'two_rooms': line 4: unknown token '?' in column 7; a map is made of")
    assert not list(tmp_path.iterdir())


def test_maps_are_text_anyone_can_read():
    assert all(np.isin(list(source.text), list(" \n*.ABCDEFGHIJ")).all() for source in ROOM_MAPS.values())
