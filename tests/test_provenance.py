"""Where a figure comes from."""

import subprocess

import pytest

from longdream import provenance


@pytest.fixture
def checkout(tmp_path, monkeypatch):
    """A repository with a module, a results file and a picture, in which `provenance` finds itself."""
    (tmp_path / "docs").mkdir()
    for name in ("provenance.py", "RESULTS.md", "docs/figure.png", "scale.yaml"):
        (tmp_path / name).write_text("first")

    def git(*words):
        who = ["-c", "user.name=a", "-c", "user.email=a@b"]
        done = subprocess.run(["git", "-C", tmp_path, *who, *words], check=True, capture_output=True, text=True)
        return done.stdout.strip()

    git("init", "-q")
    git("add", ".")
    git("commit", "-qm", "first")
    monkeypatch.setattr(provenance, "HERE", tmp_path)
    return tmp_path, git("rev-parse", "HEAD")


@pytest.mark.parametrize(
    ("changed", "marked"),
    [("provenance.py", True), ("scale.yaml", True), ("RESULTS.md", False), ("docs/figure.png", False)],
)
def test_results_written_into_the_checkout_are_no_change_of_the_code(checkout, changed, marked):
    folder, head = checkout
    assert provenance.commit() == head
    (folder / changed).write_text("second")
    assert provenance.commit() == (f"{head} with local changes" if marked else head)


def test_installed_into_another_repository_the_commit_is_not_known(checkout):
    folder, _ = checkout
    subprocess.run(["git", "-C", folder, "rm", "-q", "--cached", "provenance.py"], check=True)
    assert provenance.commit() == "unknown"
