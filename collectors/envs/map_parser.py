"""Reads a map of rooms and passages out of text, and says by line what is wrong with a broken one.

Axes: H rows and W columns of the map (row 0 is the top).
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from .room_map import NO_ROOM, Box, Point, RoomMap
from .room_tour import closed_tour

WALL, PASSAGE, OUTSIDE = "*", ".", " "
SMALLEST = 2  # cells across a room


class Cell(NamedTuple):
    """A cell of the text."""

    row: int
    column: int


def parse(text: str) -> RoomMap:
    """Return the map that `text` draws; lines count from its first one.

    Raises:
        ValueError: if it is broken, with the line and what is wrong.
    """
    tokens = _tokens(text)
    _check_closed(tokens)
    letters = sorted({str(token) for token in tokens.flat if token.isalpha()})
    if len(letters) < 2:
        raise ValueError(f"rooms drawn: {len(letters)}; two or more are needed, each with a letter of its own")
    room_id = np.full(tokens.shape, NO_ROOM, np.int8)
    for index, letter in enumerate(letters):
        room_id[tokens == letter] = index
    boxes = tuple(_box(tokens, letter) for letter in letters)
    ways = _ways(tokens, room_id)
    _check_reachable(tokens, letters, ways)
    return RoomMap(tokens == WALL, room_id, boxes, tuple(letters), ways, closed_tour(len(letters), list(ways)))


def centre(cell: Cell, height: int) -> Point:
    """Return the middle of a cell of a map of `height` rows."""
    return Point(cell.column + 0.5, height - cell.row - 0.5)


def _tokens(text: str) -> np.ndarray:
    """Return the characters of a map, (H W); what short lines lack is OUTSIDE."""
    lines = [line.rstrip() for line in textwrap.dedent(text).strip("\n").rstrip().split("\n")]
    width = max(map(len, lines))
    if width == 0:
        raise ValueError("it is empty")
    for number, line in enumerate(lines, 1):
        for column, token in enumerate(line, 1):
            if token not in (WALL, PASSAGE) and not (token.isascii() and token.isalpha()):
                raise ValueError(
                    f"line {number}: unknown token {token!r} in column {column}; a map is made of {WALL!r} (wall), "
                    f"{PASSAGE!r} (passage) and letters (rooms)"
                )
    return np.array([list(line.ljust(width, OUTSIDE)) for line in lines])


def _neighbours(tokens: np.ndarray, cell: Cell) -> Iterator[Cell]:
    """Yield the cells beside, above and below that are not wall; those outside the map are not there."""
    for down, right in ((-1, 0), (0, 1), (1, 0), (0, -1)):
        row, column = cell.row + down, cell.column + right
        inside = 0 <= row < tokens.shape[0] and 0 <= column < tokens.shape[1]
        if inside and tokens[row, column] != WALL:
            yield Cell(row, column)


def _floor(tokens: np.ndarray) -> Iterator[Cell]:
    for row, column in np.argwhere((tokens != WALL) & (tokens != OUTSIDE)).tolist():
        yield Cell(row, column)


def _called(token: str) -> str:
    return "the passage" if token == PASSAGE else f"room {token}"


def _check_closed(tokens: np.ndarray) -> None:
    """Refuse floor at the edge of the map, and rooms that run into one another."""
    height, width = tokens.shape
    for cell in _floor(tokens):
        row, column = cell
        token, place = str(tokens[cell]), f"line {row + 1}: "
        edge = row in (0, height - 1) or column in (0, width - 1)
        beside = {str(tokens[other]) for other in _neighbours(tokens, cell)}
        if edge or OUTSIDE in beside:
            raise ValueError(
                f"{place}{_called(token)} is not closed: column {column + 1} is floor at the edge of the map"
            )
        others = sorted(beside - {token, PASSAGE})
        if token != PASSAGE and others:
            raise ValueError(f"{place}rooms {token} and {others[0]} touch in column {column + 1}: put a wall between")


def _box(tokens: np.ndarray, letter: str) -> Box:
    """Return the floor of a room, which is a rectangle."""
    rows, columns = np.nonzero(tokens == letter)
    top, bottom, left, right = int(rows.min()), int(rows.max()), int(columns.min()), int(columns.max())
    for row in range(top, bottom + 1):
        if (tokens[row, left : right + 1] != letter).any():
            raise ValueError(
                f"line {row + 1}: room {letter} is not a rectangle: it is to fill columns {left + 1} to {right + 1}"
            )
    if min(bottom - top, right - left) + 1 < SMALLEST:
        raise ValueError(f"line {top + 1}: room {letter} is too narrow: {SMALLEST} cells across or more")
    height = len(tokens)
    return Box(float(left), float(right + 1), float(height - bottom - 1), float(height - top))


def _ways(tokens: np.ndarray, room_id: np.ndarray) -> dict[tuple[int, int], tuple[Point, ...]]:
    """Return the ways between rooms, each in both directions; the first one where two rooms have several."""
    ways: dict[tuple[int, int], tuple[Point, ...]] = {}
    walked: set[Cell] = set()
    for cell in _floor(tokens):
        for step in _neighbours(tokens, cell):
            if tokens[cell] == PASSAGE or tokens[step] != PASSAGE or step in walked:
                continue
            path = _follow(tokens, cell, step)
            walked.update(path[1:-1])
            ends = int(room_id[path[0]]), int(room_id[path[-1]])
            corners = tuple(centre(corner, len(tokens)) for corner in _bends(path))
            ways.setdefault(ends, corners)
            ways.setdefault(ends[::-1], corners[::-1])
    for cell in _floor(tokens):
        if tokens[cell] == PASSAGE and cell not in walked:
            raise ValueError(f"line {cell.row + 1}: the passage in column {cell.column + 1} leads to no room")
    return ways


def _follow(tokens: np.ndarray, start: Cell, step: Cell) -> list[Cell]:
    """Return the cells from one room through a passage to the next room."""
    path = [start, step]
    while tokens[path[-1]] == PASSAGE:
        row, column = path[-1]
        onward = [cell for cell in _neighbours(tokens, path[-1]) if cell != path[-2]]
        if len(onward) != 1:
            fault = "is a dead end" if not onward else "branches, or is wider than one cell"
            raise ValueError(f"line {row + 1}: the passage in column {column + 1} {fault}; it must join two rooms")
        path += onward
    if tokens[path[-1]] == tokens[start]:
        raise ValueError(f"line {step.row + 1}: the passage in column {step.column + 1} leads back to the same room")
    return path


def _bends(path: list[Cell]) -> Iterator[Cell]:
    """Yield the ends of a path, and where it turns."""
    yield path[0]
    for before, here, after in zip(path, path[1:], path[2:], strict=False):
        if (here.row - before.row, here.column - before.column) != (after.row - here.row, after.column - here.column):
            yield here
    yield path[-1]


def _check_reachable(tokens: np.ndarray, letters: list[str], ways: dict[tuple[int, int], tuple[Point, ...]]) -> None:
    """Refuse rooms that no way leads to."""
    reached, fresh = {0}, [0]
    while fresh:
        here = fresh.pop()
        beyond = {there for start, there in ways if start == here} - reached
        reached |= beyond
        fresh += beyond
    for index, letter in enumerate(letters):
        if index not in reached:
            row = int(np.argwhere(tokens == letter)[0, 0])
            raise ValueError(f"line {row + 1}: room {letter} cannot be reached from room {letters[0]}")
