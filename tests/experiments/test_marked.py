"""Sections that a command writes into a file of somebody's own."""

import pytest

from longdream.experiments.marked import check_section, marks, write_section


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
    whole = path.read_text()
    begin, end = marks("x")
    for broken, message in (
        (whole.replace(end, ""), "leave one of each"),
        (whole + begin, "leave one of each"),
        (f"{end}\n{begin}\n", "put them in order"),
    ):
        path.write_text(broken)
        for attempt in (lambda: check_section(path, "x"), lambda: write_section(path, "x", "new")):
            with pytest.raises(ValueError, match=message):
                attempt()
        assert path.read_text() == broken
    check_section(path, "y")  # another section's marks do not matter


def test_what_can_be_no_file_is_refused_before_the_work(tmp_path):
    with pytest.raises(ValueError, match="it is a folder"):
        check_section(tmp_path, "x")
    with pytest.raises(ValueError, match="its folder is not there"):
        check_section(tmp_path / "nowhere" / "RESULTS.md", "x")


def test_a_link_stays_a_link(tmp_path):
    (tmp_path / "link.md").symlink_to(tmp_path / "RESULTS.md")
    write_section(tmp_path / "link.md", "x", "text")
    assert (tmp_path / "link.md").is_symlink()
    assert "text" in (tmp_path / "RESULTS.md").read_text()
