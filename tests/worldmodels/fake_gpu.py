"""A GPU that computes nothing and notices what a real one would make the host wait for.

Tensors have shapes, types and a device, but no values: torch's FakeTensorMode, on a device that is registered here.
What needs a value on the host (`item`, `bool`, `tolist`, a mask as an index) raises, so does mixing devices; copies
between host and device are caught beside it. A device is registered for good: run this as a process of its own.
"""

import json
import sys

import torch
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.backend_registration import _DummyBackendModule, _setup_privateuseone_for_python_backend

from longdream.eval.speed import Shape, random_batch
from longdream.tests.worldmodels.test_world_models import MODELS
from longdream.worldmodels.families import build
from longdream.worldmodels.optim import build_optimizer
from longdream.worldmodels.presets import OptimConfig

DEVICE = "fakegpu"


class Backend(_DummyBackendModule):
    """What torch asks the module of a device."""

    def get_amp_supported_dtype(self):
        return [torch.bfloat16]


class Host(TorchDispatchMode):
    """Raises where data go from host to device or back."""

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        result = function(*args, **(kwargs or {}))
        devices = {x.device.type for x in tree_leaves((args, result)) if isinstance(x, torch.Tensor)}
        if function._schema.name in ("aten::_to_copy", "aten::copy_") and len(devices) > 1:
            raise RuntimeError(f"{function} between host and device")
        return result


def like(x):
    return torch.empty_strided(x.shape, x.stride(), dtype=x.dtype, device=DEVICE)


def move(model):
    """Give a model weights without values, on the device."""
    for module in model.modules():
        for name, parameter in module._parameters.items():
            if parameter is not None:
                module._parameters[name] = torch.nn.Parameter(like(parameter))
        for name, buffer in module._buffers.items():
            module._buffers[name] = like(buffer)


def train(config, inside):
    """Take a training step, from a state that is carried on."""
    model = build(config)
    with FakeTensorMode():
        move(model)
        optimizer = build_optimizer(model, OptimConfig())
        batch = random_batch(config, Shape(2, 12), DEVICE)._replace(inside=inside)
        state = model.initial(2)
        with Host():
            loss = model(batch, state)
            loss.total.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            optimizer.zero_grad()
    assert {x.device.type for x in tree_leaves(loss)} == {DEVICE}


def slip(mistake):
    """Do with a tensor what no step may do."""
    with FakeTensorMode():
        x = torch.rand(5, device=DEVICE)
        with Host():
            mistake(x)


MISTAKES = {
    "item": lambda x: x.sum().item(),
    "bool": lambda x: bool((x > 0).any()),
    "mask": lambda x: x[x > 0],
    "new from a list": lambda x: torch.tensor([1.0, 2.0], device=DEVICE),
    "devices mixed": lambda x: x + torch.ones(5),
    "to the host": lambda x: x.cpu(),
}


def trouble(work, *arguments):
    """Return what is wrong with some work on the device, or nothing."""
    try:
        work(*arguments)
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return ""


def main():
    """Print as JSON what trouble every model has, and what is made of mistakes."""
    _setup_privateuseone_for_python_backend(DEVICE, Backend())
    found = {name: trouble(train, config, 1) for name, config in MODELS.items() if name != "readme-gru"}
    found["not counted"] = trouble(train, MODELS["s4wm-s4d"], None)
    json.dump(found | {name: trouble(slip, mistake) for name, mistake in MISTAKES.items()}, sys.stdout)


if __name__ == "__main__":
    main()
