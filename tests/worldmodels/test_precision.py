"""What autocast and TF32 may cost: near float32 in all, and in the recurrences float32 itself."""

import contextlib

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from longdream.bench.precision import distance, outcome
from longdream.eval.speed import Shape
from longdream.tests.worldmodels.test_world_models import MODELS
from longdream.worldmodels.backbones.block import Resets
from longdream.worldmodels.backbones.catalogue import BACKBONES as CATALOGUE
from longdream.worldmodels.backbones.catalogue import build_backbone
from longdream.worldmodels.backbones.s4 import KERNELS
from longdream.worldmodels.backbones.ssd import ssd
from longdream.worldmodels.device import allow_tf32
from longdream.worldmodels.networks import Norm

WIDTH, T = 32, 300
BACKBONES = {kind.__name__: kind(width=WIDTH) for kind in CATALOGUE}
# of the outputs, and of the parameter whose gradient differs most; two to three times what was found
BOUNDS = dict.fromkeys(BACKBONES, (0.006, 0.04)) | {"GatedConfig": (0.03, 0.15)}
FIRST_IS_EXACT = ("S4Config", "S5Config", "HybridConfig")  # nothing stands between their input and a recurrence


def relative(a, b):
    a, b = a.double(), b.double()
    return ((a - b).norm() / b.norm()).item()


def backbone_of(name):
    """One that remembers for long: its steps are ten times smaller than they begin."""
    torch.manual_seed(0)
    backbone = build_backbone(BACKBONES[name])
    with torch.no_grad():
        for parameter_name, parameter in backbone.named_parameters():
            if parameter_name.endswith("log_dt"):
                parameter -= 2.3
    return backbone


def run(backbone, low):
    torch.manual_seed(1)
    g, first = torch.randn(2, T, WIDTH), torch.arange(T).expand(2, T) == 0
    with torch.autocast("cpu", torch.bfloat16, enabled=low):
        return backbone(g, first, None)


@pytest.mark.parametrize("name", BACKBONES)
def test_a_backbone_under_autocast_is_near_itself(name):
    found = []
    for low in (True, False):
        backbone = backbone_of(name)
        h, state = run(backbone, low)
        assert all(x.dtype != torch.bfloat16 for x in tree_leaves((h, state)))
        (h * torch.randn(h.shape, generator=torch.Generator().manual_seed(2))).sum().backward()
        found.append((h, tree_leaves(state), {n: p.grad for n, p in backbone.named_parameters() if p.grad is not None}))
    (h, states, gradients), (true_h, true_states, true_gradients) = found
    of_outputs, of_gradients = BOUNDS[name]
    assert 0 < relative(h, true_h) < of_outputs
    assert max(relative(g, true_gradients[n]) for n, g in gradients.items()) < of_gradients
    if name in FIRST_IS_EXACT:
        assert torch.equal(states[0], true_states[0])


@pytest.mark.parametrize("name", FIRST_IS_EXACT)
def test_without_its_island_a_recurrence_is_not_exact(name, monkeypatch):
    real = torch.autocast
    monkeypatch.setattr(
        torch, "autocast", lambda kind, *how, enabled=True: real(kind, *how) if enabled else contextlib.nullcontext()
    )
    backbone = backbone_of(name)
    states, true = (tree_leaves(run(backbone, low)[1]) for low in (True, False))
    assert relative(states[0], true[0]) > 1e-3


@pytest.mark.parametrize("name", ["s4wm-dplr", "s5wm", "r2i", "tssm-xl", "gated", "hybrid", "rssm", "vectors"])
def test_a_training_step_in_bfloat16_is_near_one_in_float32(name):
    true, low = (outcome(MODELS[name], Shape(4, 50), "cpu", precision) for precision in ("float32", "bf16"))
    off = distance(low, true)
    assert 0 < off.loss < 1e-3
    assert off.gradient < 0.05


def test_gradients_of_norms_are_summed_in_float32():
    """Of 60,000 rows: summed in bfloat16, which torch's own layer does on a CPU, they come out 80 % wrong."""
    torch.manual_seed(0)
    x, upstream = torch.randn(60_000, 16), torch.randn(60_000, 16) + 0.05
    norm, true = Norm(16), Norm(16).double()
    (true(x.double()) * upstream).sum().backward()
    with torch.autocast("cpu", torch.bfloat16):
        y = norm(x.bfloat16())
    assert y.dtype == torch.bfloat16
    (y * upstream.bfloat16()).sum().backward()
    assert relative(norm.weight.grad, true.weight.grad) < 0.02
    assert relative(norm.bias.grad, true.bias.grad) < 0.02


class Products(TorchDispatchMode):
    """Notes the precision that is allowed for every product of matrices."""

    def __init__(self):
        super().__init__()
        self.seen = []

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        if function._schema.name in ("aten::mm", "aten::bmm", "aten::addmm", "aten::baddbmm", "aten::matmul"):
            self.seen.append(torch.get_float32_matmul_precision())
        return function(*args, **(kwargs or {}))


@pytest.fixture
def tf32():
    """TF32, as on a GPU."""
    allow_tf32(True, torch.device("cuda"))
    yield
    allow_tf32(False, torch.device("cuda"))
    torch.backends.cudnn.allow_tf32 = True  # torch's default


@pytest.mark.usefixtures("tf32")
@pytest.mark.parametrize("kind", KERNELS)
def test_state_space_kernels_are_never_in_tf32(kind):
    """Neither going forward nor back; linear layers around them are."""
    torch.manual_seed(0)
    kernel, linear = KERNELS[kind](6, 8), torch.nn.Linear(6, 6)
    first = torch.zeros(2, 90, dtype=torch.bool)
    state = kernel.initial(2)
    with Products() as products:
        y, _ = kernel(torch.randn(2, 90, 6, requires_grad=True), Resets(first), state)
        y.sum().backward()
    assert len(products.seen) > 6
    assert set(products.seen) == {"highest"}
    with Products() as products:
        linear(torch.randn(3, 6)).sum().backward()
    assert set(products.seen) == {"high"}


@pytest.mark.usefixtures("tf32")
def test_the_gated_recurrence_is_never_in_tf32():
    torch.manual_seed(0)
    q, k, v = torch.randn(2, 90, 3), torch.randn(2, 90, 3), torch.randn(2, 90, 2, 4)
    signals = [x.requires_grad_() for x in (q, k, v, torch.zeros(2, 90, 2))]
    with Products() as products:
        y, state = ssd(*signals, torch.zeros(2, 90, dtype=torch.bool), torch.zeros(2, 3, 2, 4))
        (y.sum() + state.sum()).backward()
    assert len(products.seen) == 3 * 4
    assert set(products.seen) == {"highest"}


@pytest.mark.usefixtures("tf32")
def test_torchs_two_sets_of_switches_agree():
    """Where they do not, reading one of them raises, as torch.compile would."""
    for allowed in (True, False):
        allow_tf32(allowed, torch.device("cuda"))
        assert torch.backends.cuda.matmul.allow_tf32 == torch.backends.cudnn.allow_tf32 == allowed
        assert (torch.backends.cuda.matmul.fp32_precision == "tf32") == allowed
        assert (torch.backends.cudnn.conv.fp32_precision == "tf32") == allowed


def test_a_cpu_keeps_its_precision():
    allow_tf32(True, torch.device("cpu"))
    assert torch.get_float32_matmul_precision() == "highest"
