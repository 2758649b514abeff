"""The contract that every world model passes. A new family or backbone is one line in MODELS.

Axes: B batch, T time, C context, A action.
"""

import dataclasses

import pytest
import torch
from torch.utils._pytree import tree_flatten

from longdream.datasets.batch import Batch
from longdream.tests.worldmodels.readme_example import readme_module
from longdream.tests.worldmodels.small_models import S4, S4WM
from longdream.worldmodels.backbones.catalogue import BACKBONES
from longdream.worldmodels.backbones.gated import GatedConfig
from longdream.worldmodels.backbones.hybrid import HybridConfig
from longdream.worldmodels.backbones.s5 import S5Config
from longdream.worldmodels.backbones.transformer_xl import TransformerXLConfig
from longdream.worldmodels.base import Latent
from longdream.worldmodels.codecs.vectors import VectorConfig
from longdream.worldmodels.families import FAMILIES, build
from longdream.worldmodels.latent_model import LossConfig, ModelConfig
from longdream.worldmodels.rssm import RSSM, RSSMConfig
from longdream.worldmodels.symlog import symlog

README = readme_module()
PARALLEL = {
    "s4wm-dplr": S4WM,
    "s4wm-s4d": dataclasses.replace(S4WM, backbone=dataclasses.replace(S4, kernel="s4d")),
    "readme-gru": dataclasses.replace(S4WM, backbone=README["GRUConfig"](12)),
    "s5wm": dataclasses.replace(S4WM, backbone=S5Config(1, 1, 12, 16, 16, 2)),
    "r2i": dataclasses.replace(S4WM, backbone=S5Config(2, 1, 12, 0, 16, 2, norm="post"), deter=20),
    "tssm-xl": dataclasses.replace(S4WM, backbone=TransformerXLConfig(2, 12, 16, 2, memory=6)),
    "gated": dataclasses.replace(S4WM, backbone=GatedConfig(2, 12, heads=3, state=4)),
    "hybrid": dataclasses.replace(S4WM, backbone=HybridConfig(1, 1, 12, 16, 8, 2, memory=6)),
    "full-posterior": dataclasses.replace(S4WM, posterior_backbone=S4),
    "vectors": dataclasses.replace(S4WM, codec=VectorConfig(size=7, units=16)),
    "in-chunks": dataclasses.replace(S4WM, chunk=7, recompute_encoder=True),
}
SHARED = {f.name: getattr(S4WM, f.name) for f in dataclasses.fields(ModelConfig)}
MODELS = PARALLEL | {
    "rssm": RSSMConfig(**SHARED, width=12),
    "rssm-vectors": RSSMConfig(**SHARED | {"codec": VectorConfig(size=7, units=16)}, width=12),
}
B, T, A = 3, 40, 3


def make(config, monkeypatch):
    monkeypatch.setitem(BACKBONES, README["GRUConfig"], README["GRU"])
    torch.manual_seed(0)
    return build(config).double()


@pytest.fixture(params=MODELS)
def model(request, monkeypatch):
    return make(MODELS[request.param], monkeypatch)


@pytest.fixture(params=PARALLEL)
def parallel_model(request, monkeypatch):
    return make(PARALLEL[request.param], monkeypatch)


def test_every_family_and_backbone_is_tested():
    assert {type(config) for config in MODELS.values()} == {family.config for family in FAMILIES.values()}
    assert {type(config.backbone) for config in PARALLEL.values()} >= set(BACKBONES)


def test_a_new_model_expects_no_reward(model):
    """Where rewards are rare, steps without one have next to nothing to teach from the beginning."""
    features = torch.randn(7, model.width + model.config.latent.size).double()
    assert model.reward.loss(features, torch.zeros(7).double()).max() < 0.1
    assert torch.equal(model.reward(features), torch.zeros(7).double())


def make_batch(model, length=T, seed=1):
    g = torch.Generator().manual_seed(seed)
    if isinstance(model.config.codec, VectorConfig):
        obs = 10 * torch.randn(B, length, model.config.codec.size, generator=g)
    else:
        obs = torch.randint(0, 256, (B, length, 8, 8, 3), generator=g, dtype=torch.uint8).permute(0, 1, 4, 2, 3)
    action = torch.nn.functional.one_hot(torch.randint(0, A, (B, length), generator=g), A).float()
    first = torch.zeros(B, length, dtype=torch.bool)
    first[:, 0] = True
    action[:, 0] = 0
    reward = torch.rand(B, length, generator=g)
    return Batch(obs, action, reward, torch.ones(B, length), first)


def rows(seed=0):
    return [torch.Generator().manual_seed(seed + row) for row in range(B)]


def close(a, b):
    for x, y in zip(tree_flatten(a)[0], tree_flatten(b)[0], strict=True):
        assert torch.allclose(x, y, atol=1e-9), (x - y).abs().max()


def take(latent, index):
    return Latent(*(x[:, index] for x in latent))


def test_observing_in_pieces_is_observing_at_once(model):
    batch = make_batch(model)
    whole = model.observe(batch, None, rows())
    generators = rows()
    early = model.observe(batch.window(0, 17), None, generators)
    late = model.observe(batch.window(17), early.state, generators)
    close(torch.cat([early.latent.features, late.latent.features], 1), whole.latent.features)
    close((torch.cat([early.prior, late.prior], 1), late.state), (whole.prior, whole.state))


def test_observing_step_by_step_is_observing_at_once(model):
    batch, generators, state, parts = make_batch(model), rows(), None, []
    for t in range(T):
        beliefs = model.observe(batch.window(t, t + 1), state, generators)
        state = beliefs.state
        parts.append(beliefs.latent.features)
    close(torch.cat(parts, 1), model.observe(batch, None, rows()).latent.features)


def test_a_start_inside_the_sequence_forgets_everything_before(model):
    batch = make_batch(model)
    start = 23
    batch.first[:, start] = True
    whole = model.observe(batch, None, [*rows()])
    generators = rows()
    model.observe(batch.window(0, start), None, generators)  # only to draw the same latents afterwards
    changed = batch.window(start)._replace(action=batch.action[:, start:].clone())
    changed.action[:, 0] = 7.0  # the action at a start is not looked at
    alone = model.observe(changed, None, generators)
    close(take(whole.latent, slice(start, None)), alone.latent)
    close(whole.state, alone.state)


def test_imagining_is_the_parallel_pass_with_latents_from_the_prior(parallel_model):
    """Algorithm 2 of S4WM: the context call yields everything up to step C, stepping makes C+1 and on."""
    model = parallel_model
    batch, context = make_batch(model), 25
    generators = rows()
    beliefs = model.observe(batch.window(0, context), None, generators)
    imagined, last = model.imagine(beliefs.state, batch.action[:, context:].double(), generators)
    z = torch.cat([beliefs.latent.stoch, imagined.stoch], 1)
    before = torch.cat([torch.zeros_like(z[:, :1]), z[:, :-1]], 1)
    g = model.f_in(torch.cat([before.flatten(-2), batch.action.double()], -1))
    h, state = model.backbone(g, batch.first, None)
    close(imagined.deter, model.f_out(h)[:, context:])
    close(last.backbone, state)


def test_imagination_follows_the_actions(model):
    batch = make_batch(model)
    state = model.observe(batch, None, rows()).state
    actions = torch.eye(A).double()[None, :, :].expand(B, A, A)
    ahead, _ = model.imagine(state, actions, rows(9))
    other, _ = model.imagine(state, actions.roll(1, 1), rows(9))
    assert not torch.allclose(ahead.deter[:, 0], other.deter[:, 0])


def test_a_row_is_imagined_the_same_in_any_batch(model):
    batch = make_batch(model)
    state = model.observe(batch, None, rows()).state
    together, _ = model.imagine(state, batch.action[:, :6].double(), rows(5))
    one = batch.rows(1, 2)
    state = model.observe(one, None, rows()[1:2]).state
    alone, _ = model.imagine(state, one.action[:, :6].double(), rows(5)[1:2])
    close(alone, Latent(*(x[1:2] for x in together)))


def test_the_loss_is_the_written_out_objective(model):
    batch = make_batch(model)
    batch = batch._replace(cont=torch.rand_like(batch.cont).round())
    weights = dataclasses.replace(model.config.loss, reward=3.0, cont=2.0)
    model.config = dataclasses.replace(model.config, loss=weights)
    torch.nn.init.normal_(model.reward.net[-1].weight)  # it starts at zero, and would say the same of any target
    torch.manual_seed(3)
    loss = model(batch)
    torch.manual_seed(3)
    beliefs = model.observe(batch)
    p, q = beliefs.prior.exp(), beliefs.post.exp()
    prediction = model.predict(beliefs.latent)
    total, skipped = 0.0, 0 if isinstance(model, RSSM) else 1  # S4WM counts nothing where an episode starts
    for b in range(B):
        for t in range(skipped, T):
            found, obs = prediction.obs[b, t], batch.obs[b, t]
            vector = isinstance(model.config.codec, VectorConfig)
            error = ((symlog(found) - symlog(obs.double()) if vector else found - obs / 255) ** 2).sum()
            kl = (q[b, t] * (q[b, t] / p[b, t]).log()).sum()
            reward = model.reward.loss(beliefs.latent.features[b, t], batch.reward[b, t])
            p_cont = prediction.cont[b, t]
            cont = -(batch.cont[b, t] * p_cont.log() + (1 - batch.cont[b, t]) * (1 - p_cont).log())
            total = total + error + kl + 3 * reward + 2 * cont  # 0.8 and 0.2 add up in the value
    assert loss.total.item() == pytest.approx(total.item() / (B * (T - skipped)), rel=1e-6)
    assert model.counted(batch).sum() == B * (T - skipped)


def test_the_balance_is_the_papers():
    assert (LossConfig().prior, LossConfig().posterior) == (0.8, 0.2)


def test_the_kl_balance_holds_back_the_posterior(model):
    """The encoder's gradient of the KL is a fifth of the unbalanced one, the prior's four fifths."""
    batch = make_batch(model)

    def gradient(parameter, prior, posterior):
        model.config = dataclasses.replace(
            model.config, loss=dataclasses.replace(model.config.loss, prior=prior, posterior=posterior)
        )
        torch.manual_seed(3)
        return torch.autograd.grad(model(batch).total, parameter)[0]

    posterior = model.posterior if isinstance(model, RSSM) else model.posterior[-1]
    for parameter, side in ((model.prior[-1].bias, "prior"), (posterior.bias, "posterior")):
        base = gradient(parameter, 0.0, 0.0)
        whole = gradient(parameter, **{"prior": 0.0, "posterior": 0.0} | {side: 1.0}) - base
        both = gradient(parameter, 0.8, 0.2) - base
        other = gradient(parameter, **{"prior": 1.0, "posterior": 1.0} | {side: 0.0}) - base
        share = 0.8 if side == "prior" else 0.2
        if side == "prior":
            close(other, torch.zeros_like(other))  # the posterior's term does not move the prior
        close(both, share * whole + (1 - share) * other)


def test_every_parameter_gets_a_gradient(model):
    model(make_batch(model)).total.backward()
    assert [name for name, p in model.named_parameters() if p.grad is None] == []


def test_the_loss_state_is_detached_and_carries_on(model):
    batch = make_batch(model)
    torch.manual_seed(0)
    loss = model(batch)
    assert not any(s.requires_grad for s in tree_flatten(loss.state)[0])
    follow = batch._replace(first=torch.zeros_like(batch.first))
    torch.manual_seed(0)
    carried = model(follow, loss.state).total
    torch.manual_seed(0)
    assert carried != model(follow, None).total


def test_predicting_in_chunks_is_predicting_at_once(model, monkeypatch):
    latent = model.observe(make_batch(model), None, rows()).latent
    whole = model.predict(latent)
    monkeypatch.setattr("longdream.worldmodels.latent_model.DECODE_CHUNK", 7)
    close(model.predict(latent), whole)
    assert whole.obs.shape == make_batch(model).obs.shape


def test_a_small_divergence_is_not_trained_on():
    """Free nats: KL terms below the threshold count as the threshold and give no gradient."""
    torch.manual_seed(0)
    config = dataclasses.replace(S4WM, loss=LossConfig(free_nats=1e6))
    model = build(config).double()
    loss = model(make_batch(model))
    assert loss.terms["dynamics"].item() == pytest.approx(1e6)
    loss.total.backward()
    assert not model.prior[-1].weight.grad.any()


@pytest.mark.parametrize("name", sorted(set(MODELS) - {"readme-gru"}))
def test_bfloat16_autocast_stays_close_to_float32(name):
    torch.manual_seed(0)
    model = build(MODELS[name])
    batch = make_batch(model)
    torch.manual_seed(1)
    exact = model(batch).total.item()
    torch.manual_seed(1)
    with torch.autocast("cpu", torch.bfloat16):
        low = model(batch)
    assert low.total.dtype == torch.float32
    assert low.total.item() == pytest.approx(exact, rel=0.02)
