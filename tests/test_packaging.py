"""The repository root is the package: what keeps that working."""

import configparser
import importlib
import subprocess
import sys
from pathlib import Path

import pytest

import longdream
from longdream import cli

ROOT = Path(longdream.__file__).parent


def setup_cfg():
    parser = configparser.ConfigParser()
    parser.read(ROOT / "setup.cfg")
    return parser


def source_folders():
    files = [path.relative_to(ROOT) for path in ROOT.rglob("*.py")]
    shipped = [path for path in files if not any(part.startswith(".") or part == "build" for part in path.parts)]
    return {".".join(("longdream", *path.parent.parts)) for path in shipped}


def test_every_folder_with_code_is_a_listed_package():
    assert set(setup_cfg()["options"]["packages"].split()) == source_folders()


def test_there_is_no_init_below_the_root():
    """A `datasets/__init__.py` would hide Hugging Face's `datasets` from accelerate, where the root is on the path."""
    listed = subprocess.run(["git", "-C", ROOT, "ls-files", "*__init__.py"], capture_output=True, text=True, check=True)
    assert listed.stdout.split() == ["__init__.py"]


def test_hugging_faces_datasets_is_found_from_the_root(tmp_path):
    (tmp_path / "datasets").mkdir()
    (tmp_path / "datasets" / "__init__.py").write_text("name = 'theirs'")
    found = subprocess.run(
        [sys.executable, "-c", "import datasets; print(datasets.name)"],
        capture_output=True,
        text=True,
        cwd=ROOT,  # first on the path
        env={"PYTHONPATH": str(tmp_path)},
        check=True,
    )
    assert found.stdout.strip() == "theirs"


def test_console_scripts_point_at_functions():
    entries = setup_cfg()["options.entry_points"]
    scripts = [line.split("=")[1].strip() for line in entries["console_scripts"].strip().splitlines()]
    verbs = [f"{module}:{function}" for module, function, _ in cli.VERBS.values()]
    for target in scripts + verbs:
        module, function = target.split(":")
        assert callable(getattr(importlib.import_module(module), function))


def test_the_umbrella_names_its_verbs(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["longdream", "--help"])
    cli.main()
    usage = capsys.readouterr().out
    assert all(verb in usage for verb in cli.VERBS)
    monkeypatch.setattr(sys, "argv", ["longdream", "colect"])
    with pytest.raises(SystemExit) as raised:
        cli.main()
    assert raised.value.code == 2
    assert "collect" in capsys.readouterr().err
