"""Sections that a command writes into a file of somebody's own."""

import pytest

from longdream.experiments.marked import write_section


def test_a_section_is_appended_then_replaced_and_what_is_around_it_stays(tmp_path):
    path = tmp_path / "RESULTS.md"
    path.write_text("# Ours\n\nby hand\n")
    write_section(path, "table2 tiny", "first\n\\1 stays as it is")
    write_section(path, "table3 tiny", "another")
    path.write_text(path.read_text() + "\nby hand, below\n")
    once = path.read_text()
    assert once.startswith("# Ours\n\nby hand\n\n<!-- begin table2 tiny")
    write_section(path, "table2 tiny", "first\n\\1 stays as it is")
    assert path.read_text() == once
    write_section(path, "table2 tiny", "second")
    text = path.read_text()
    assert text == once.replace("first\n\\1 stays as it is", "second")
    assert [text.count(part) for part in ("first", "second", "another", "by hand, below")] == [0, 1, 1, 1]


def test_a_file_that_is_not_there_is_made(tmp_path):
    write_section(tmp_path / "new.md", "x", "text")
    assert (tmp_path / "new.md").read_text().splitlines()[1] == "text"


def test_a_broken_mark_is_refused_and_nothing_is_lost(tmp_path):
    path = tmp_path / "RESULTS.md"
    write_section(path, "x", "text")
    broken = path.read_text().replace("<!-- end x -->", "")
    path.write_text(broken)
    with pytest.raises(ValueError, match="leave one of each"):
        write_section(path, "x", "new")
    assert path.read_text() == broken
