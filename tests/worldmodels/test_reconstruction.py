"""The decoder's loss with eager gradients against the plain one."""

import weakref

import pytest
import torch

from longdream.worldmodels.codecs.cnn import CNNConfig, CNNDecoder
from longdream.worldmodels.reconstruction import reconstruction_loss

N, FEATURES = 11, 6


def case(dtype=torch.float64):
    torch.manual_seed(0)
    decoder = CNNDecoder(CNNConfig(stages=2, multiplier=4, size=8), FEATURES).to(dtype)
    features = torch.randn(N, FEATURES, dtype=dtype, requires_grad=True)
    return decoder, features, torch.randint(0, 256, (N, 3, 8, 8), dtype=torch.uint8), torch.rand(N, dtype=dtype)


@pytest.mark.parametrize("chunk", [1, 4, 11, 100])
def test_value_and_gradients_are_those_of_the_whole(chunk):
    decoder, features, obs, weights = case()
    leaves = [features, *decoder.parameters()]
    plain = 3 * (decoder.error(features, obs) * weights).sum()
    eager = 3 * reconstruction_loss(decoder, features, obs, weights, chunk)  # the factor must reach every gradient
    assert torch.allclose(eager, plain)
    for a, b in zip(torch.autograd.grad(eager, leaves), torch.autograd.grad(plain, leaves), strict=True):
        assert torch.allclose(a, b)
    with torch.no_grad():
        assert torch.allclose(3 * reconstruction_loss(decoder, features, obs, weights, chunk), plain)


def test_gradients_reach_what_the_features_came_from_and_add_up():
    decoder, features, obs, weights = case()
    for _ in range(2):  # accumulated over two backward passes, beside the gradient of another use of the features
        (reconstruction_loss(decoder, 2 * features, obs, weights, 4) + features.sum()).backward()
    expected = torch.autograd.grad((decoder.error(2 * features, obs) * weights).sum(), features)[0] + 1
    assert torch.allclose(features.grad, 2 * expected)


@pytest.mark.parametrize("frozen", ["expand", ""])
def test_frozen_parameters_get_no_gradient(frozen):
    """One layer, or the whole decoder."""
    decoder, features, obs, weights = case()
    decoder.get_submodule(frozen).requires_grad_(False)
    reconstruction_loss(decoder, features, obs, weights, 4).backward()
    trained = [p for p in (features, *decoder.parameters()) if p.requires_grad]
    plain = torch.autograd.grad((decoder.error(features, obs) * weights).sum(), trained)
    assert all(torch.allclose(p.grad, g) for p, g in zip(trained, plain, strict=True))
    assert all(p.grad is None for p in decoder.get_submodule(frozen).parameters())


def test_under_autocast():
    decoder, features, obs, weights = case(torch.float32)
    exact = torch.autograd.grad(reconstruction_loss(decoder, features, obs, weights, 4), features)[0]
    with torch.autocast("cpu", torch.bfloat16):
        loss = reconstruction_loss(decoder, features, obs, weights, 4)
    low = torch.autograd.grad(loss, features)[0]
    assert loss.dtype == low.dtype == torch.float32
    assert not torch.equal(low, exact)
    assert torch.nn.functional.cosine_similarity(low.flatten(), exact.flatten(), 0) > 0.99


def test_activations_of_one_chunk_are_alive():
    """What autograd holds at any moment grows with the chunk; what it keeps for later is gradients alone."""
    decoder, features, obs, weights = case()

    def most_alive(chunk):
        alive, most = weakref.WeakSet(), 0

        class Held:
            def __init__(self, tensor):
                nonlocal most
                self.tensor = tensor
                alive.add(self)
                most = max(most, sum(held.tensor.numel() for held in alive))

        with torch.autograd.graph.saved_tensors_hooks(Held, lambda held: held.tensor):
            loss = reconstruction_loss(decoder, features, obs, weights, chunk)
        kept = sum(tensor.numel() for tensor in loss.grad_fn.saved_tensors)
        assert kept == features.numel() + sum(p.numel() for p in decoder.parameters())
        return most

    assert most_alive(1) < most_alive(N) / 2
