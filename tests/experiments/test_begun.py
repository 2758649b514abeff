"""Runs that are there and are not those of the plan: its file, or the data, have changed since they were begun."""

import dataclasses
import json
import shutil

import pytest

from longdream.collectors.cli import main as collect
from longdream.experiments.begun import check_begun
from longdream.experiments.commands import flags
from longdream.experiments.scales import Choice, plan, read_scale
from longdream.tests.experiments.reproduce_toys import RSSM, XL, toy_scale
from longdream.tests.experiments.sweep_toys import COLLECT, S4, SMALL
from longdream.worldmodels.run_folder import record_run
from longdream.worldmodels.train_config import parse

TRAIN = {name.replace("-", "_"): value for name, value in SMALL.items()} | {"steps": 40, "batch_size": 2}
WHOLE = {name: value for name, value in S4.items() if name != "window"}
WIDER = WHOLE | {"world_model.backbone.width": 32}
DEFAULT = {name: value for name, value in TRAIN.items() if name != "world_model.units"}


def planned(folder, **changes):
    scale = read_scale(str(toy_scale(folder / "toy.yaml", **{"train": TRAIN} | changes)))
    return plan(scale, "table2", Choice(folder / "runs", folder / "data"))


def models(s4wm):
    return {"models": {"rssm": RSSM, "tssm-xl": XL, "s4wm": s4wm}}


def data_of(episodes):
    return {"data": {"dm": {"beside": "distracting_memory", "collect": COLLECT | {"n": episodes}}}}


@pytest.fixture(scope="module")
def begun(tmp_path_factory):
    """A folder with data and the runs of one seed, as train_wm.py begins them."""
    folder = tmp_path_factory.mktemp("begun")
    config = planned(folder)
    collect(flags(COLLECT | {"out": config.data["dm"].path}))
    for run in config.runs()[:3]:
        ours = {"data": config.data["dm"].path, "out": run.folder, "steps": config.steps_of(run)}
        run.folder.mkdir(parents=True)
        record_run(parse(flags(config.options(run.model, run.data) | ours)))
    return folder


def test_runs_of_the_plan_are_taken(begun):
    check_begun(planned(begun))
    check_begun(planned(begun, train=TRAIN | {"log_every": 5, "steps": 80}))  # a constant rate: the same run, longer
    check_begun(planned(begun, train=TRAIN | {"precision": "bf16"}), ignored=["precision"])
    check_begun(planned(begun, **models(WHOLE | {"world_model.backbone.width": "1.6e1"})))  # a word to YAML


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (models(WIDER), r"s4wm/seed-0 was begun with world_model.backbone.width = 16, the plan has 32"),
        (models(WHOLE | {"model": "s5wm-tiny"}), "was begun with .*, the plan has"),
        ({"train": DEFAULT}, "world_model.units = 16, the plan has 256"),
        ({"train": TRAIN | {"precision": "bf16"}}, "precision = no, the plan has bf16"),
        ({"train": TRAIN | {"optim.schedule": "cosine"}}, "optim.schedule = constant, the plan has cosine"),
        (data_of(40), "it has 20 episodes, not 40"),
        ({"data": {"dm": {"beside": "distracting_memory", "collect": COLLECT | {"width": 16}}}}, "width is 14, not 16"),
    ],
)
def test_another_plan_is_refused(begun, changes, message):
    with pytest.raises(ValueError, match=message):
        check_begun(planned(begun, **changes))


def test_other_steps_are_another_run_where_the_learning_rate_falls_to_zero(begun, tmp_path):
    shutil.copytree(begun, tmp_path, dirs_exist_ok=True)
    cosine = planned(tmp_path, train=TRAIN | {"optim.schedule": "cosine"})
    for run in cosine.runs()[:3]:
        path = run.folder / "config.json"
        record = json.loads(path.read_text())
        record["train"]["optim"]["schedule"] = "cosine"
        path.write_text(json.dumps(record))
    check_begun(cosine)
    with pytest.raises(ValueError, match="steps = 40, the plan has 80"):
        check_begun(dataclasses.replace(cosine, train=cosine.train | {"optim.schedule": "cosine"}, steps=80))


def test_data_that_have_changed_are_refused_and_those_that_are_lost_are_collected_again(begun, tmp_path):
    shutil.copytree(begun, tmp_path, dirs_exist_ok=True)
    config = planned(tmp_path)
    next((tmp_path / "data" / "dm" / "shards").iterdir()).rename(tmp_path / "lost")
    check_begun(config)
    shutil.rmtree(tmp_path / "data")
    check_begun(config)
    collect(flags(COLLECT | {"out": config.data["dm"].path}))  # the same bytes
    check_begun(config)
    path = config.runs()[0].folder / "config.json"
    record = json.loads(path.read_text())
    record["provenance"]["data_hash"] = "sha256:other"
    path.write_text(json.dumps(record))
    with pytest.raises(ValueError, match=r"has changed since .* was begun"):
        check_begun(config)
