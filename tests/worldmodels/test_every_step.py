"""What an agent asks of every world model: the state after every step, what a policy reads, gradients to its actions.

Axes: B batch, T time, A action, X values of the recurrent state, F features.
"""

import pytest
import torch
from torch.utils._pytree import tree_leaves, tree_map

from longdream.tests.worldmodels.test_world_models import MODELS, PARALLEL, A, B, T, close, make, make_batch, rows
from longdream.worldmodels import latent_model, rssm
from longdream.worldmodels.base import Latent, WorldModel, flat_steps, one_step
from longdream.worldmodels.families import build
from longdream.worldmodels.latents import noise
from longdream.worldmodels.presets import PRESETS
from longdream.worldmodels.rssm import RSSM

SEEING = {"vectors", "rssm-vectors", "in-chunks"}  # differ in their codecs, which have no part in this
AGENTS = {name: config for name, config in MODELS.items() if name not in SEEING}
PARTS = {"output": "zh", "hidden": "zx", "full": "zhx"}


@pytest.fixture(params=AGENTS)
def model(request, monkeypatch):
    return make(AGENTS[request.param], monkeypatch)


@pytest.fixture(params=[name for name in AGENTS if name in PARALLEL])
def parallel_model(request, monkeypatch):
    return make(AGENTS[request.param], monkeypatch)


def kinds(model):
    return [kind for kind in PARTS if kind != "full" or not isinstance(model, RSSM)]


def several_episodes(model):
    """Rows that start anew in the midst; the last one goes on with what it saw before. No action led to a start."""
    batch = make_batch(model)
    batch.first[0, 13] = batch.first[1, 20] = batch.first[1, 21] = True
    batch.first[2, 0] = False
    batch.action[batch.first] = 7.0
    return batch


@torch.no_grad()
def before(model):
    """Return a state after nine steps."""
    return model.observe(make_batch(model, 9, seed=2), None, rows(7)).state


def at(tree, t):
    return tree_map(lambda leaf: leaf[:, t], tree)


def values(tree):
    return [leaf for leaf in tree_leaves(tree) if leaf.is_floating_point()]


def test_a_state_is_the_one_that_observing_so_far_ends_in(model):
    batch, state = several_episodes(model), before(model)
    found = model.observe(batch, state, rows(), every_step=True)
    plain = model.observe(batch, state, rows())
    close(found[:3], plain[:3])
    for t in (0, 12, 13, 20, 21, T - 1):
        close(at(found.state, t), model.observe(batch.window(0, t + 1), state, rows()).state)


def test_a_policy_acts_on_what_it_is_trained_on(model):
    """Steps one at a time, with the state carried, give it the features of the parallel pass, across starts too."""
    batch, state, generators = several_episodes(model), before(model), rows()
    whole = model.observe(batch, state, rows(), every_step=True)
    seen = {kind: [] for kind in kinds(model)}
    for t in range(T):
        beliefs = model.observe(batch.window(t, t + 1), state, generators)
        state = beliefs.state
        for kind, parts in seen.items():
            parts.append(model.policy_features(beliefs.latent, one_step(state), kind))
    for kind, parts in seen.items():
        close(torch.cat(parts, 1), model.policy_features(whole.latent, whole.state, kind))


@torch.no_grad()
def test_every_step_is_a_start_of_imagination(model):
    """All of them at once, each with actions of its own, against one row observed up to one step."""
    batch, state = several_episodes(model), before(model)
    starts = flat_steps(model.observe(batch, state, rows(), every_step=True).state)
    actions = torch.eye(A).double()[torch.randint(0, A, (B * T, 3))]
    ahead, last = model.imagine(starts, actions, [torch.Generator().manual_seed(n) for n in range(B * T)])
    for row, t in ((0, 12), (0, 13), (1, 20), (2, T - 1)):
        one = slice(row * T + t, row * T + t + 1)
        observed = model.observe(batch.window(0, t + 1), state, rows()).state
        own = tree_map(lambda leaf, row=row: leaf[row : row + 1], observed)
        alone = model.imagine(own, actions[one], [torch.Generator().manual_seed(row * T + t)])
        close(alone, tree_map(lambda leaf, one=one: leaf[one], (ahead, last)))


def test_features_are_z_h_and_the_recurrent_state(model):
    beliefs = model.observe(several_episodes(model), None, rows(), every_step=True)
    carried = beliefs.state.deter if isinstance(model, RSSM) else beliefs.state.backbone
    parts = {"z": beliefs.latent.stoch.flatten(2), "h": beliefs.latent.deter}
    parts["x"] = torch.cat([leaf.flatten(2) for leaf in values(carried)], -1)
    for kind in kinds(model):
        features = model.policy_features(beliefs.latent, beliefs.state, kind)
        assert torch.equal(features, torch.cat([parts[part] for part in PARTS[kind]], -1))
        assert features.shape == (B, T, model.policy_width(kind))
    assert torch.equal(model.policy_features(beliefs.latent, None, "output"), torch.cat([parts["z"], parts["h"]], -1))


def test_a_state_of_one_step_is_no_sequence(model):
    beliefs = model.observe(make_batch(model).window(0, 1), None, rows())
    with pytest.raises(AssertionError):
        model.policy_features(beliefs.latent, beliefs.state, "hidden")


@pytest.mark.parametrize(("name", "kind"), [("s4wm-3d", "hidden"), ("tssm-xl-3d", "full"), ("rssm-bsuite", "full")])
def test_what_a_policy_cannot_read_is_refused(name, kind):
    with torch.device("meta"):
        model = build(PRESETS[name].model)
    with pytest.raises(ValueError, match=f"{kind}.*'output'"):
        model.policy_width(kind)
    assert model.policy_width("output") == model.config.width + 1024


def test_a_model_without_anything_for_a_policy_says_so(monkeypatch):
    model = make(AGENTS["rssm"], monkeypatch)
    with pytest.raises(ValueError, match="RSSM has nothing for a policy to read"):
        WorldModel.policy_width(model, "output")


def test_the_largest_state_that_is_read_is_r2is(monkeypatch):
    with torch.device("meta"):
        model = build(PRESETS["r2i-memory-maze"].model)
    assert model.policy_width("full") == 1024 + 2048 + 5120
    monkeypatch.setattr(latent_model, "MOST_HIDDEN", 5119)
    with pytest.raises(ValueError, match=r"5,120 values"):
        model.policy_width("full")


def test_training_is_the_same_with_the_states_of_every_step(model):
    batch, state, found = several_episodes(model), before(model), []
    for every_step in (False, True):
        torch.manual_seed(3)
        loss = model(batch, state, every_step=every_step)
        found.append((loss.total, loss.terms, torch.autograd.grad(loss.total, list(model.parameters()))))
    close(*found)
    torch.manual_seed(3)
    beliefs = model.observe(batch, state, every_step=True)
    close((loss.latent, loss.state), (beliefs.latent, beliefs.state))
    assert not any(leaf.requires_grad for leaf in tree_leaves((loss.latent, loss.state)))


def test_only_the_states_of_every_step_are_cut_off(model):
    """The latents and the state after the last step are differentiable by the state before."""
    batch, found = several_episodes(model), []
    for every_step in (False, True):
        given = tree_map(lambda s: s.clone().requires_grad_(s.is_floating_point()), before(model))
        beliefs = model.observe(batch, given, rows(), every_step)
        assert {leaf.requires_grad for leaf in values(beliefs.state)} == {not every_step}
        seen = beliefs.latent.features.square().sum()
        found.append(torch.autograd.grad(seen, values(given), materialize_grads=True))
    close(*found)
    assert any(gradient.any() for gradient in found[0])


def test_a_row_of_several_episodes_is_trained_as_they_would_be_alone(model):
    batch = make_batch(model).rows(0, 1)
    batch.first[0, 13] = True
    batch.action[0, 13] = 7.0
    torch.manual_seed(3)
    together = model(batch).total
    torch.manual_seed(3)
    early, late = (model(batch.window(*part)).total for part in ((0, 13), (13, T)))
    skipped = 0 if isinstance(model, RSSM) else 1  # S4WM counts nothing where an episode starts
    close(together * (T - 2 * skipped), early * (13 - skipped) + late * (T - 13 - skipped))


HORIZON = 4


@torch.no_grad()
def start(model):
    """Return latent and state of a step that was observed."""
    beliefs = model.observe(make_batch(model).window(0, 8), None, rows(), every_step=True)
    return Latent(*(x[:, -1:] for x in beliefs.latent)), at(beliefs.state, -1)


def weights(model, kind):
    torch.manual_seed(5)
    return (0.1 * torch.randn(model.policy_width(kind), A, dtype=torch.double)).requires_grad_()


def policy(features, weight):
    """Return continuous actions (B A) of features (B 1 F)."""
    return torch.tanh(features[:, 0] @ weight)


def dreamed(model, kind, weight):
    """Return what a policy sees on its way, (B H F), by imagined steps."""
    (latent, state), cache, draws, seen = start(model), model.step_cache(), rows(5), []
    features = model.policy_features(latent, one_step(state), kind)
    for _ in range(HORIZON):
        latent, state = model.imagine_step(state, policy(features, weight), cache, draws)
        features = model.policy_features(latent, one_step(state), kind)
        seen.append(features)
    return torch.cat(seen, 1)


def written_out(model, kind, weight):
    """Return the same by a parallel pass over the whole way so far at every step."""
    (latent, state), draws, inputs, seen = start(model), rows(5), [], []
    z, features = state.stoch, model.policy_features(latent, one_step(state), kind)
    for _ in range(HORIZON):
        inputs.append(torch.cat([z.flatten(1), policy(features, weight)], -1))
        g = model.f_in(torch.stack(inputs, 1))
        h, carried = model.backbone(g, torch.zeros(g.shape[:2], dtype=torch.bool), state.backbone)
        h = model.f_out(h)[:, -1]
        p = 0.99 * model.prior(h).unflatten(-1, z.shape[1:]).softmax(-1) + 0.01 / z.shape[-1]
        winner = (p / noise(z[:, None], draws)[:, 0]).argmax(-1)
        z = torch.nn.functional.one_hot(winner, z.shape[-1]) + p - p.detach()  # straight through
        parts = {"z": z.flatten(1), "h": h, "x": torch.cat([leaf.flatten(1) for leaf in values(carried)], -1)}
        features = torch.cat([parts[part] for part in PARTS[kind]], -1)[:, None]
        seen.append(features)
    return torch.cat(seen, 1)


@pytest.mark.parametrize("kind", PARTS)
def test_gradients_reach_a_policy_through_the_dynamics(parallel_model, kind):
    """Through h, x, the latents and the actions themselves."""
    weight, found = weights(parallel_model, kind), []
    for way in (dreamed, written_out):
        seen = way(parallel_model, kind, weight)
        found.append((seen, *torch.autograd.grad(seen.sin().sum(), weight)))
    close(*found)
    assert found[0][1].any()


def test_gradients_reach_a_policy_through_the_rssm(monkeypatch):
    model = make(AGENTS["rssm"], monkeypatch)
    weight, found = weights(model, "output"), []
    for _ in range(2):
        seen = dreamed(model, "output", weight)
        found.append((seen, *torch.autograd.grad(seen.sin().sum(), weight)))
        monkeypatch.setattr(rssm, "DeferredLinear", lambda w: lambda x: x @ w.T)  # autograd's own
    close(*found)
    assert found[0][1].any()


def test_a_policy_learns_in_a_frozen_world_model(model):
    weight = weights(model, "output")
    expected = torch.autograd.grad(dreamed(model, "output", weight).sin().sum(), weight)[0]
    model.requires_grad_(False)
    dreamed(model, "output", weight).sin().sum().backward()
    close(weight.grad, expected)
    assert all(parameter.grad is None for parameter in model.parameters())
