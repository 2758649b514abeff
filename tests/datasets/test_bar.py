"""How often a progress bar is printed."""

import io
import sys

import pytest

from longdream.datasets.bar import SELDOM, progress_bar


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.mark.parametrize("screen", [io.StringIO, Terminal])
def test_a_bar_is_printed_often_on_a_terminal_and_seldom_into_a_file(monkeypatch, screen):
    """A thousand steps of 0.2 s, by a clock that does not tick by itself."""
    now = 1000.0
    monkeypatch.delenv("TQDM_MININTERVAL", raising=False)
    monkeypatch.setattr(sys, "stderr", screen())
    bar = progress_bar(total=1000)
    monkeypatch.setattr(bar, "_time", lambda: now)
    bar.start_t = bar.last_print_t = now
    for _ in range(1000):
        now += 0.2
        bar.update()
    prints = sys.stderr.getvalue().count("\r")
    if screen is Terminal:
        assert prints > 200
    else:
        assert prints <= 200 / SELDOM + 2  # the first is of no step
    bar.close()


def test_what_the_environment_asks_for_is_done(monkeypatch):
    monkeypatch.setenv("TQDM_MININTERVAL", "7")
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    bar = progress_bar(total=2)
    assert bar.mininterval != SELDOM
    bar.close()
