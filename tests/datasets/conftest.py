"""What the tests of the commands share."""

import sys

import pytest


@pytest.fixture
def call(monkeypatch, capsys):
    """Run a command; return its exit code and what it printed."""

    def run(main, *words):
        monkeypatch.setattr(sys, "argv", ["longdream", *map(str, words)])
        try:
            main()
            code = 0
        except SystemExit as stop:
            code = stop.code
        return code, *capsys.readouterr()

    return run
