"""The papers' presets are the papers' models."""

import dataclasses

import pytest
import torch

from longdream.worldmodels.checkpoint import build
from longdream.worldmodels.presets import PRESETS, resolve

PAPER_PARAMETERS = {"s4wm-3d": 41_114_339, "s4wm-2d": 28_061_187}  # S4WM Tables 7 and 8: 41.1 M and 28.1 M


@pytest.mark.parametrize("name", PAPER_PARAMETERS)
def test_parameter_count_without_heads(name):
    with torch.device("meta"):
        model = build(PRESETS[name].model)
    heads = sum(p.numel() for head in (model.reward, model.cont) for p in head.parameters())
    assert sum(p.numel() for p in model.parameters()) - heads == PAPER_PARAMETERS[name]


def test_no_mlp_variant_drops_the_mlps():
    config = PRESETS["s4wm-tiny"].model
    without = dataclasses.replace(config, backbone=dataclasses.replace(config.backbone, mlp=0))
    assert len(build(without).backbone.mlps) == 0


@pytest.mark.parametrize(
    ("name", "size", "preset"), [("s4wm", 40, "s4wm-2d"), ("s4wm", 64, "s4wm-3d"), ("s4wm-tiny", 64, "s4wm-tiny")]
)
def test_a_family_is_completed_by_the_image_size(name, size, preset):
    assert resolve(name, size) == preset


def test_unknown_models_are_named_with_what_was_perhaps_meant():
    with pytest.raises(ValueError, match=r"no model 's4vm'.*'s4wm'.*s4wm-2d"):
        resolve("s4vm", 40)
    with pytest.raises(ValueError, match="no preset for images of 48 pixels"):
        resolve("s4wm", 48)
