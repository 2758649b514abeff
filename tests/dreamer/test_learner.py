"""An update against the same written out by hand, and what is kept between updates."""

from copy import deepcopy
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from accelerate import Accelerator

from longdream.datasets.batch import Batch
from longdream.dreamer.behaviour import Behaviour, BehaviourConfig
from longdream.dreamer.checkpoint import _packed, _unpacked
from longdream.dreamer.config import DreamerConfig
from longdream.dreamer.imagination import choose_starts
from longdream.dreamer.learner import Learner
from longdream.dreamer.means import Means
from longdream.worldmodels.backbones.s5 import S5Config
from longdream.worldmodels.codecs.vectors import VectorConfig
from longdream.worldmodels.families import build
from longdream.worldmodels.latents import LatentConfig
from longdream.worldmodels.parallel import ParallelConfig
from longdream.worldmodels.presets import OptimConfig

MODEL = ParallelConfig(
    actions=2,
    codec=VectorConfig(size=3, units=8),
    latent=LatentConfig(variables=2, classes=4),
    units=8,
    backbone=S5Config(blocks=1, width=8, state=16, mlp=0, layers=1),
)
EPS = 1e-3  # of Adam: steps that do not hang on the rounding of gradients near zero
CONFIG = DreamerConfig(
    env="toy",
    out=Path("nowhere"),
    batch_size=2,
    batch_length=6,
    policy_input="hidden",
    world_model=MODEL,
    optim=OptimConfig(lr=1e-2, ssm_lr=1e-2, weight_decay=0.0, eps=EPS, clip=0.5, warmup=4, schedule="constant"),
    behaviour=BehaviourConfig(units=8, layers=1, horizon=3, imagine_every=2),
    behaviour_optim=OptimConfig(lr=1e-2, weight_decay=0.0, eps=EPS, clip=0.1, warmup=0, schedule="constant"),
)


def batch(seed=0):
    rng = torch.Generator().manual_seed(seed)
    first = torch.zeros(2, 6, dtype=torch.bool)
    first[0, 3] = True
    action = torch.nn.functional.one_hot(torch.randint(2, (2, 6), generator=rng), 2).float()
    reward, cont = torch.randn(2, 6, generator=rng), torch.ones(2, 6)
    cont[0, 2] = 0
    return Batch(torch.randn(2, 6, 3, generator=rng), action * ~first[..., None], reward, cont, first)


def learner(config=CONFIG, discrete=True):
    return Learner(config, discrete, Accelerator(cpu=True))


def by_hand(updates, discrete, clip):
    """The same weights by plain Adam, with every gradient taken and clipped by itself."""
    torch.manual_seed(CONFIG.seed)
    model = build(MODEL)
    behaviour = Behaviour(CONFIG.behaviour, model.policy_width("hidden"), 2, discrete)
    parts = [list(part.parameters()) for part in (model, behaviour.actor, behaviour.critic)]
    adams = [torch.optim.Adam(part, 1e-2, eps=EPS) for part in parts]
    torch.manual_seed(1)
    for update in range(updates):
        for group in adams[0].param_groups:
            group["lr"] = 1e-2 * min(1, (update + 1) / 4)
        fresh = batch(update)
        fresh.first[:, 0] = True
        fresh.action[:, 0] = 0
        seen = model(fresh, every_step=True)
        descend(adams[0], parts[0], seen.total, 0.5)
        starts = choose_starts(seen.latent, seen.state, fresh.cont, 2)
        imagined = behaviour(model, starts, "hidden")
        descend(adams[1], parts[1], imagined.actor, clip)
        descend(adams[2], parts[2], imagined.critic, clip)
        for slow, fast in zip(behaviour.slow_critic.parameters(), behaviour.critic.parameters(), strict=True):
            slow.data += 0.02 * (fast.data - slow.data)
    return model, behaviour


def descend(adam, parameters, loss, clip):
    gradients = torch.autograd.grad(loss, parameters, retain_graph=True)
    norm = torch.cat([g.flatten() for g in gradients]).norm()
    for parameter, gradient in zip(parameters, gradients, strict=True):
        parameter.grad = gradient * min(1.0, clip / norm.item())
    adam.step()


@pytest.mark.parametrize("clip", [0.1, 1e-5])  # the critic's gradients are above the one, the actor's above the other
@pytest.mark.parametrize("discrete", [True, False])
def test_updates_are_those_written_out_by_hand(discrete, clip):
    ours = learner(replace(CONFIG, behaviour_optim=replace(CONFIG.behaviour_optim, clip=clip)), discrete)
    torch.manual_seed(1)
    for update in range(6):
        terms = ours.update(batch(update))
    assert ours.updates == 6
    for mine, theirs in zip((ours.mind.model, ours.mind.behaviour), by_hand(6, discrete, clip), strict=True):
        there = theirs.state_dict()
        for name, value in mine.state_dict().items():
            assert torch.allclose(value, there[name], atol=2e-5), name
    assert {"loss", "reconstruction", "grad_norm", "behaviour_entropy", "actor_grad_norm"} <= terms.keys()
    assert not any(term.requires_grad for term in terms.values())


def test_a_restored_learner_learns_the_same():
    one, other = learner(), learner()
    one.update(batch(0))
    other.restore(deepcopy(one.state()))
    other.mind.model.load_state_dict(one.mind.model.state_dict())
    for ours in (one, other):
        torch.manual_seed(2)
        ours.update(batch(1))
    for a, b in ((one.mind.model, other.mind.model), (one.mind.behaviour, other.mind.behaviour)):
        there = b.state_dict()
        assert all(torch.equal(value, there[name]) for name, value in a.state_dict().items())
    assert other.updates == 2


def test_means_go_on_after_a_restore():
    one, other = Means(), Means()
    for value in (1.0, 2.0):
        one.add({"loss": torch.tensor(value)})
    other.restore(one.state(), torch.device("cpu"))
    for means in (one, other):
        means.add({"loss": torch.tensor(6.0)})
        assert means.so_far() == {"loss": 3.0}
        assert means.take() == {"loss": 3.0}
        assert means.take() == {}


def test_a_packed_state_is_read_without_trust(tmp_path):
    """Arrays survive torch's safe reading, numbers and nothing else do as they are."""
    state = {
        "rows": [None, {"obs": np.arange(6, dtype=np.uint8).reshape(2, 3), "none": np.zeros((0, 2), np.float32)}],
        "count": np.int64(3),
        "tensor": torch.ones(2),
        "pairs": [(1.5, True)],
    }
    torch.save(_packed(state), tmp_path / "state.pt")
    found = _unpacked(torch.load(tmp_path / "state.pt", weights_only=True))
    assert found["rows"][0] is None
    assert found["rows"][1]["obs"].dtype == np.uint8
    assert found["rows"][1]["obs"].tolist() == [[0, 1, 2], [3, 4, 5]]
    assert found["rows"][1]["none"].shape == (0, 2)
    assert found["count"] == 3
    assert torch.equal(found["tensor"], torch.ones(2))
    assert found["pairs"] == [[1.5, True]]
