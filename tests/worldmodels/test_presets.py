"""The papers' presets are the papers' models."""

import dataclasses

import pytest
import torch

from longdream.worldmodels.backbones.s5 import S5Stack
from longdream.worldmodels.families import build
from longdream.worldmodels.presets import PRESETS, resolve

PAPER_PARAMETERS = {  # S4WM, Tables 7 and 8: 41.1, 43.8, 54.1, 28.1, 27.1 and 31.2 M
    "s4wm-3d": 41_114_339,
    "tssm-xl-3d": 43_843_043,
    "rssm-3d": 54_051_107,
    "s4wm-2d": 28_061_187,
    "tssm-xl-2d": 27_113_731,
    "rssm-2d": 31_223_043 + 2_048,  # the learned initial state; or the first number had three actions in mind
}


@pytest.mark.parametrize("name", PAPER_PARAMETERS)
def test_parameter_count_without_heads(name):
    with torch.device("meta"):
        model = build(PRESETS[name].model)
    heads = sum(p.numel() for head in (model.reward, model.cont) for p in head.parameters())
    assert sum(p.numel() for p in model.parameters()) - heads == PAPER_PARAMETERS[name]


def test_variants_differ_where_they_say():
    full = build(PRESETS["s4wm-full-posterior-tiny"].model)
    assert full.posterior_backbone is not full.backbone
    assert len(build(PRESETS["s4wm-no-mlp-tiny"].model).backbone.mlps) == 0
    assert isinstance(build(PRESETS["s5wm-tiny"].model).backbone, S5Stack)
    assert PRESETS["s4wm-s4d-2d"].model.backbone == dataclasses.replace(PRESETS["s4wm-2d"].model.backbone, kernel="s4d")


def test_r2is_state_is_the_papers():
    with torch.device("meta"):
        assert build(PRESETS["r2i-memory-maze"].model).backbone.state_size == 5_120


@pytest.mark.parametrize("name", [name for name in PRESETS if name.endswith("-tiny")])
def test_tiny_presets_are_of_one_size(name):
    """They are compared with each other."""
    parameters = sum(p.numel() for p in build(PRESETS[name].model).parameters())
    assert 1_700_000 < parameters < 3_500_000


@pytest.mark.parametrize(
    ("name", "size", "preset"), [("s4wm", 40, "s4wm-2d"), ("tssm-xl", 64, "tssm-xl-3d"), ("s4wm-tiny", 64, "s4wm-tiny")]
)
def test_a_family_is_completed_by_the_image_size(name, size, preset):
    assert resolve(name, size) == preset


def test_unknown_models_are_named_with_what_was_perhaps_meant():
    with pytest.raises(ValueError, match=r"no model 's4vm'.*'s4wm'.*s4wm-2d"):
        resolve("s4vm", 40)
    with pytest.raises(ValueError, match="no preset for images of 48 pixels"):
        resolve("s4wm", 48)
    with pytest.raises(ValueError, match="name one of r2i-memory-maze, r2i-vector, r2i-tiny"):
        resolve("r2i", 64)
