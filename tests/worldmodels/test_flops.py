"""The benchmark's count of operations, by hand; and its parts of a step."""

from __future__ import annotations

from typing import NamedTuple

import pytest
import torch

from longdream.bench import flops, where
from longdream.bench.step import Step
from longdream.eval.speed import Shape
from longdream.tests.worldmodels.test_world_models import MODELS
from longdream.worldmodels.backbones.convolution import causal_convolution, smooth_length
from longdream.worldmodels.codecs.catalogue import build_decoder
from longdream.worldmodels.reconstruction import reconstruction_loss


def test_products_and_convolutions_forward_and_back():
    x, image = torch.randn(5, 7, requires_grad=True), torch.randn(2, 3, 8, 8)
    linear, conv = torch.nn.Linear(7, 11), torch.nn.Conv2d(3, 4, 3, padding=1)
    assert sum(flops.count(lambda: linear(x).sum().backward()).values()) == 3 * 2 * 5 * 7 * 11
    counted = flops.count(lambda: conv(image).sum().backward())
    assert counted == {"convolution": 2 * 2 * 8 * 8 * 3 * 4 * 9, "convolution_backward": 2 * 2 * 8 * 8 * 3 * 4 * 9}


def test_ffts_of_a_convolution_over_time():
    u, kernel = torch.randn(2, 3, 50, requires_grad=True), torch.randn(3, 50, requires_grad=True)
    n = smooth_length(100)
    rows = (6 + 3 + 6) + (6 + 6 + 3)  # of u, of the kernel and back; of the gradient, and back to u and to the kernel
    counted = flops.count(lambda: causal_convolution(u, kernel).sum().backward())
    assert sum(counted.values()) == pytest.approx(rows * 2.5 * n * torch.tensor(n).log2().item(), rel=1e-3)


def test_a_loss_that_takes_its_gradients_early_is_counted_whole():
    """A decoder's share of a step is three times its forward pass."""
    config = MODELS["in-chunks"]
    decoder, features = build_decoder(config.codec, 9), torch.randn(20, 9, requires_grad=True)
    obs = torch.zeros(20, 3, 8, 8, dtype=torch.uint8)

    def train():
        reconstruction_loss(decoder, features, obs, torch.ones(20), 7).backward()

    once = flops.count(lambda: decoder.error(features.detach(), obs))
    assert sum(flops.count(train).values()) == 3 * sum(once.values())


def test_a_stated_peak_holds_and_a_cpu_is_measured():
    assert flops.peak(torch.device("cpu"), 2.5) == 2.5e12
    assert flops.peak(torch.device("cpu"), 0.0) > 1e8


@pytest.mark.parametrize(
    ("name", "tera"),
    [
        ("NVIDIA A100-SXM4-80GB", 312),
        ("NVIDIA GH200 480GB", 989),
        ("NVIDIA H100 80GB HBM3", 989),
        ("NVIDIA H100 PCIe", 756),
        ("NVIDIA H100 NVL", 835),
        ("NVIDIA L40", 181),
        ("NVIDIA GeForce RTX 4090", 165),
    ],
)
def test_peaks_by_name(name, tera):
    assert flops.peak_of(name) == tera * 1e12


@pytest.mark.parametrize("name", ["NVIDIA RTX A1000", "NVIDIA GB200", "Tesla T4"])
def test_a_card_that_is_not_known_has_no_peak(name):
    with pytest.raises(SystemExit, match=f"{name}: say it with --peak"):
        flops.peak_of(name)


class Event(NamedTuple):
    """What the profiler says of an operation, or of a range, on a GPU."""

    name: str
    cpu_parent: Event | None
    self_device_time_total: float
    is_user_annotation: bool = False
    sequence_nr: int = -1
    device_type: torch._C._autograd.DeviceType = torch._C._autograd.DeviceType.CPU


def test_a_range_has_no_kernels_of_its_own():
    """torch may link to it the stretch of time that its kernels span on the GPU, or take theirs away from it again."""
    for linked in (900.0, -700.0):
        span = Event(where.PREFIX + "encoder", None, linked, is_user_annotation=True)
        kernels = [Event("aten::mm", span, 500.0), Event("aten::add", span, 200.0)]
        assert where.grouped([span, *kernels], "cuda") == pytest.approx({"encoder": 700e-6})


@pytest.mark.parametrize("name", ["s4wm-s4d", "rssm"])
def test_the_parts_of_a_step(name):
    found = where.parts(Step(MODELS[name], Shape(2, 10), "cpu"))
    own = {"rssm": {"recurrence"}}.get(name, {"backbone", "latents, prior, posterior"})
    assert own | {"encoder", "decoder and its loss", "KL, reward, continue", "clipping", "AdamW"} <= set(found)
    assert found.get("other", 0.0) < 0.1 * sum(found.values())  # the backward pass is put where it belongs
