"""The papers' presets are the papers' models."""

import dataclasses

import pytest
import torch

from longdream.datasets.batch import Batch
from longdream.worldmodels.backbones.s5 import S5Stack
from longdream.worldmodels.families import build
from longdream.worldmodels.latent_model import ModelConfig
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


R2I = {  # of R2I's code: layers, width and values of the state of each (two a complex number), h, and the heads' layers
    "memory-maze": (5, 1024, 1024, 2048, 4),
    "popgym": (3, 512, 256, 1024, 2),
    "bsuite": (3, 512, 256, 512, 2),
    "atari": (4, 512, 256, 512, 2),
    "dmc": (4, 512, 256, 512, 2),
}
PARAMETERS = {  # ours, with all heads, at the presets' numbers of actions and sizes of observations
    "r2i-memory-maze": 69_498_179,
    "rssm-memory-maze": 67_380_035,
    "r2i-popgym": 9_076_616,
    "rssm-popgym": 11_433_224,
    "r2i-bsuite": 17_229_192,
    "rssm-bsuite": 16_437_000,
    "r2i-atari": 17_269_379,
    "rssm-atari": 15_687_811,
    "r2i-dmc": 18_018_568,
    "rssm-dmc": 16_437_000,
    "r2i-vector-tiny": 384_136,
    "rssm-vector-tiny": 366_984,
    "r2i-symbols-tiny": 297_896,
    "rssm-symbols-tiny": 280_744,
    "r2i-image-tiny": 1_338_851,
    "rssm-image-tiny": 1_421_027,
}


@pytest.mark.parametrize("task", R2I)
def test_r2is_sizes_are_its_codes(task):
    model = PRESETS[f"r2i-{task}"].model
    backbone = model.backbone
    assert (backbone.layers, backbone.mlp, backbone.norm) == (1, 0, "post")
    assert (backbone.blocks, backbone.width, backbone.state, model.deter, model.head_layers) == R2I[task]
    assert model.units == backbone.width
    scales = (0.8, 0.2) if task == "memory-maze" else (0.5, 0.1)
    assert (model.loss.prior, model.loss.posterior, model.loss.free_nats) == (*scales, 1.0)


@pytest.mark.parametrize("name", PRESETS)
def test_s4wm_and_its_relatives_alone_leave_out_an_episodes_first_step(name):
    """Decisions of the papers: S4WM's sums begin at 1, Dreamer's (the RSSM's and R2I's) at 0."""
    with torch.device("meta"):
        model = build(PRESETS[name].model)
    first = torch.tensor([[True, False, True]])
    counted = model.counted(Batch(first, first, first, first, first))
    dreamer = name.startswith(("r2i", "rssm"))
    assert counted.tolist() == [[dreamer, True, dreamer]]


@pytest.mark.parametrize("name", PARAMETERS)
def test_parameter_count_of_the_online_models(name):
    with torch.device("meta"):
        model = build(PRESETS[name].model)
    assert sum(p.numel() for p in model.parameters()) == PARAMETERS[name]


@pytest.mark.parametrize("task", [*R2I, "vector-tiny", "symbols-tiny", "image-tiny"])
def test_twins_differ_in_how_h_comes_about_alone(task):
    r2i, rssm = (PRESETS[f"{family}-{task}"] for family in ("r2i", "rssm"))
    shared = [field.name for field in dataclasses.fields(ModelConfig)]
    assert [getattr(r2i.model, name) for name in shared] == [getattr(rssm.model, name) for name in shared]
    assert (rssm.model.width, rssm.optim) == (r2i.model.width, r2i.optim)


ONLINE = [name for name in PARAMETERS if name.endswith("-tiny")]


@pytest.mark.parametrize("name", [name for name in PRESETS if name.endswith("-tiny") and name not in ONLINE])
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
    with pytest.raises(ValueError, match="name one of r2i-tiny, r2i-memory-maze, r2i-popgym"):
        resolve("r2i", 64)
