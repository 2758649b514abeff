"""Configurations as JSON, parameter groups, the learning-rate schedule."""

import dataclasses
import json
from dataclasses import dataclass, field

import pytest
import torch

from longdream.worldmodels.config import from_dict, to_dict
from longdream.worldmodels.families import build
from longdream.worldmodels.optim import build_optimizer, lr_factor, set_lr
from longdream.worldmodels.parallel import ParallelConfig
from longdream.worldmodels.presets import PRESETS, OptimConfig


@dataclass(frozen=True)
class Left:
    width: int = 1


@dataclass(frozen=True)
class Right:
    width: int = 2


@dataclass(frozen=True)
class Holder:
    part: Left | Right = field(default_factory=Left)


@pytest.mark.parametrize("name", PRESETS)
def test_presets_survive_json(name):
    config = PRESETS[name].model
    assert from_dict(type(config), json.loads(json.dumps(to_dict(config)))) == config


def test_a_choice_of_dataclasses_keeps_its_type():
    assert from_dict(Holder, to_dict(Holder(Right(5)))) == Holder(Right(5))
    with pytest.raises(ValueError, match=r"part\.type is 'Middle'.*Left, Right"):
        from_dict(Holder, {"part": {"type": "Middle"}})


def test_a_part_saved_before_there_was_a_choice_is_still_read():
    @dataclass(frozen=True)
    class Before:
        part: Left = field(default_factory=Left)

    Before.__annotations__["part"] = Left
    assert from_dict(Holder, to_dict(Before(Left(7)))) == Holder(Left(7))


def test_a_value_outside_its_literal_is_named():
    values = to_dict(PRESETS["s4wm-tiny"].model)
    values["backbone"]["kernel"] = "s5"
    with pytest.raises(ValueError, match=r"backbone\.kernel is 's5'.*'dplr', 's4d'"):
        from_dict(ParallelConfig, values)


def test_an_unknown_field_is_named_with_its_place():
    values = to_dict(PRESETS["s4wm-tiny"].model)
    values["backbone"]["widht"] = 3
    with pytest.raises(ValueError, match=r"backbone\.'widht'.*S4Config.*width"):
        from_dict(ParallelConfig, values)


def tiny(kernel):
    config = PRESETS["s4wm-tiny"].model
    return build(dataclasses.replace(config, backbone=dataclasses.replace(config.backbone, kernel=kernel)))


@pytest.mark.parametrize(
    ("kernel", "names"),
    [("s4d", {"log_dt", "log_decay", "frequency"}), ("dplr", {"log_dt", "log_decay", "frequency", "P", "B"})],
)
def test_ssm_parameters_learn_slowly_and_do_not_decay(kernel, names):
    model = tiny(kernel)
    optimizer = build_optimizer(model, OptimConfig(lr=1e-2, ssm_lr=1e-3, weight_decay=0.05, eps=1e-5))
    main, ssm = optimizer.param_groups
    assert main["eps"] == ssm["eps"] == 1e-5
    slow = {id(p) for p in ssm["params"]}
    assert {n.rsplit(".", 1)[1] for n, p in model.named_parameters() if id(p) in slow} == names
    assert len(slow) == len(names) * len(model.backbone.layers)
    assert (ssm["lr"], ssm["weight_decay"]) == (1e-3, 0.0)
    assert (main["lr"], main["weight_decay"]) == (1e-2, 0.05)
    assert len(main["params"]) + len(slow) == len(list(model.parameters()))
    set_lr(optimizer, 0.5)
    assert [group["lr"] for group in optimizer.param_groups] == [5e-3, 5e-4]


S4D, S5 = {"log_dt", "log_decay", "frequency"}, {"log_dt", "log_decay", "frequency", "B"}
SLOW = {  # preset: the names of its slow parameters, and the number of layers that have them
    "s4wm-full-posterior-tiny": (S4D, 2 * 4),
    "s5wm-tiny": (S5, 4),
    "r2i-tiny": (S5, 3),
    "gated-tiny": ({"log_rate", "dt_bias"}, 4),
    "hybrid-tiny": (S4D, 4),
    "tssm-xl-tiny": (set(), 0),
    "rssm-tiny": (set(), 0),
}


@pytest.mark.parametrize("preset", SLOW)
def test_every_recurrence_is_in_the_slow_group(preset):
    names, layers = SLOW[preset]
    model = build(PRESETS[preset].model)
    groups = build_optimizer(model, OptimConfig()).param_groups
    slow = {id(p) for group in groups[1:] for p in group["params"]}
    assert {n.rsplit(".", 1)[1] for n, p in model.named_parameters() if id(p) in slow} == names
    assert len(slow) == len(names) * layers


def test_the_ssm_rate_is_never_above_the_main_rate():
    optimizer = build_optimizer(tiny("s4d"), OptimConfig(lr=1e-4, ssm_lr=1e-3))
    assert optimizer.param_groups[1]["lr"] == 1e-4


def test_schedule_warms_up_and_ends_at_zero():
    config = OptimConfig(warmup=10)
    factors = [lr_factor(step, 110, config) for step in range(111)]
    assert factors[0] == pytest.approx(0.1)
    assert factors[9] == pytest.approx(1.0)
    assert factors[60] == pytest.approx(0.5)
    assert factors[110] == pytest.approx(0.0)
    assert factors[10:] == sorted(factors[10:], reverse=True)
    assert lr_factor(5000, 110, dataclasses.replace(config, schedule="constant")) == 1.0


def test_optimizer_moves_every_parameter():
    model = tiny("dplr")
    before = [p.detach().clone() for p in model.parameters()]
    optimizer = build_optimizer(model, OptimConfig())
    for p in model.parameters():
        p.grad = torch.ones_like(p)
    optimizer.step()
    assert not any(torch.equal(p, b) for p, b in zip(model.parameters(), before, strict=True))
