"""The recurrent state-space model against the cell written out, and its gradients against plain autograd.

Axes: B batch, T time.
"""

import torch
import torch.nn.functional as F

from longdream.datasets.batch import Batch
from longdream.worldmodels.codecs.vectors import VectorConfig
from longdream.worldmodels.families import build
from longdream.worldmodels.latents import LatentConfig
from longdream.worldmodels.rssm import RSSMConfig

CONFIG = RSSMConfig(actions=3, codec=VectorConfig(5, 16), latent=LatentConfig(4, 5), units=10, head_layers=1, width=12)
B, T = 3, 17


def make_model():
    torch.manual_seed(0)
    model = build(CONFIG).double()
    torch.nn.init.normal_(model.start)
    for norm in (model.f_in_norm, model.gates_norm, model.post_norm):
        torch.nn.init.normal_(norm.weight)
        torch.nn.init.normal_(norm.bias)
    return model


def make_batch():
    torch.manual_seed(1)
    first = torch.zeros(B, T, dtype=torch.bool)
    first[:, 0] = first[1, 9] = first[1, 10] = True
    action = F.one_hot(torch.randint(0, 3, (B, T)), 3).double()
    return Batch(torch.randn(B, T, 5), action, torch.rand(B, T), torch.ones(B, T), first)


def written_out(model, batch, drawn):
    """Return h (B T D) and q (B T K V), given the latents that were drawn (B T K V), as the papers write them."""

    def norm(layer, x):
        return F.layer_norm(x, x.shape[-1:], layer.weight, layer.bias, 1e-3)

    embedding = model.encoder(batch.obs.flatten(0, 1)).unflatten(0, (B, T))
    h0 = torch.tanh(model.start)
    z0 = F.one_hot(model.prior(h0).unflatten(-1, (4, 5)).argmax(-1), 5).double().flatten()
    hs, zs, posts = [], [], []
    for b in range(B):
        for t in range(T):
            start = bool(batch.first[b, t])
            h = h0 if start else hs[-1]
            z = z0 if start else zs[-1]
            a = torch.zeros(3).double() if start else batch.action[b, t]
            x = F.silu(norm(model.f_in_norm, model.f_in(torch.cat([z, a]))))
            reset, candidate, update = norm(model.gates_norm, model.gates(torch.cat([h, x]))).chunk(3)
            update = torch.sigmoid(update - 1)
            h = update * torch.tanh(torch.sigmoid(reset) * candidate) + (1 - update) * h
            hs.append(h)
            logits = model.posterior(F.silu(norm(model.post_norm, model.post_in(torch.cat([h, embedding[b, t]])))))
            q = 0.99 * logits.unflatten(-1, (4, 5)).softmax(-1) + 0.01 / 5
            posts.append(q)
            zs.append((drawn[b, t] + q - q.detach()).flatten())  # straight through
    return torch.stack(hs).unflatten(0, (B, T)), torch.stack(posts).unflatten(0, (B, T))


def test_observing_is_the_cell_written_out():
    model, batch = make_model(), make_batch()
    beliefs = model.observe(batch)
    h, post = written_out(model, batch, beliefs.latent.stoch.detach())
    assert torch.allclose(beliefs.latent.deter, h)
    assert torch.allclose(beliefs.post.exp(), post)
    assert torch.equal(beliefs.state.deter, beliefs.latent.deter[:, -1])


def test_gradients_are_those_of_the_cell_written_out():
    model, batch = make_model(), make_batch()
    beliefs = model.observe(batch)
    weight = torch.randn_like(beliefs.latent.deter)
    h, _ = written_out(model, batch, beliefs.latent.stoch.detach())
    parameters = [p for name, p in model.named_parameters() if name.split(".")[0] not in ("decoder", "reward", "cont")]
    fast = torch.autograd.grad((beliefs.latent.deter * weight).sum(), parameters, allow_unused=True)
    slow = torch.autograd.grad((h * weight).sum(), parameters, allow_unused=True)
    for a, b in zip(fast, slow, strict=True):
        assert (a is None) == (b is None)
        assert a is None or torch.allclose(a, b)


def test_the_initial_state_is_learned():
    model = make_model()
    model(make_batch()).total.backward()
    assert model.start.grad.any()
    assert torch.equal(model.initial(2).deter, model.start.tanh().expand(2, -1))


def test_a_window_is_trained_from_a_state_without_its_past():
    """Truncated backpropagation: the carried state holds no graph, and a window's loss depends on it."""
    model, batch = make_model(), make_batch()
    torch.manual_seed(2)
    carried = model(batch.window(0, 5)).state
    torch.manual_seed(3)
    with_past = model(batch.window(5), carried)
    torch.manual_seed(3)
    without = model(batch.window(5))
    assert with_past.total != without.total
    assert not carried.deter.requires_grad
    assert not carried.stoch.requires_grad
