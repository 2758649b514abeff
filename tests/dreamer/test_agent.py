"""Acting: step by step the agent reads what it would read of the whole sequence, with resets and after a restore."""

from contextlib import nullcontext
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn.utils import parameters_to_vector

from longdream.datasets.batch import Batch
from longdream.dreamer.agent import Agent, Mind, as_batch
from longdream.dreamer.environments.vector import Steps
from longdream.worldmodels import latents, rssm
from longdream.worldmodels.backbones.s5 import S5Config
from longdream.worldmodels.codecs.vectors import VectorConfig
from longdream.worldmodels.families import build
from longdream.worldmodels.latents import LatentConfig
from longdream.worldmodels.parallel import ParallelConfig
from longdream.worldmodels.rssm import RSSMConfig

SHARED: Any = {
    "actions": 2,
    "codec": VectorConfig(size=3, units=8, layers=1),
    "latent": LatentConfig(variables=3, classes=4),
    "units": 8,
}
R2I = ParallelConfig(**SHARED, backbone=S5Config(blocks=2, width=8, state=16, mlp=0, layers=1), deter=6)
RSSM = RSSMConfig(**SHARED, width=8)


class Reader:
    """In a behaviour's place: keeps the features that it is to act on."""

    def __init__(self):
        self.read = []

    def act(self, features, greedy=False):
        self.read.append(features)
        return torch.eye(2)[features[:, 0].gt(0).long()]


def mind(config, reads):
    torch.manual_seed(0)
    model = build(config)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
    return Mind(model, Reader(), reads, torch.device("cpu"), nullcontext)


def played(length, rows=3):
    """Steps of random episodes, some of which begin in the middle."""
    rng = np.random.default_rng(1)
    first = rng.random((length, rows)) < 0.25
    first[0] = True
    action = np.eye(2, dtype=np.float32)[rng.integers(0, 2, (length, rows))] * ~first[..., None]
    none = np.zeros(rows, bool)
    return [
        Steps(rng.normal(size=(rows, 3)).astype(np.float32), np.zeros(rows, np.float32), none, none, f, none, a)
        for f, a in zip(first, action, strict=True)
    ]


@pytest.fixture
def modes(monkeypatch):
    """Every z is the likeliest, so that nothing depends on the order of draws."""
    for module in (latents, rssm):
        monkeypatch.setattr(module, "noise", lambda like, generators=None: torch.ones_like(like))


@pytest.mark.usefixtures("modes")
@pytest.mark.parametrize(
    ("config", "reads"), [(R2I, "output"), (R2I, "hidden"), (R2I, "full"), (RSSM, "output"), (RSSM, "hidden")]
)
def test_it_reads_what_training_reads(config, reads):
    acting = mind(config, reads)
    steps = played(12)
    agent = Agent(acting)
    for step in steps[:7]:
        agent.act(step)
    other = Agent(acting)
    other.restore(agent.state(), 3)
    for step in steps[7:]:
        other.act(step)
    parts = (as_batch(step, torch.device("cpu")) for step in steps)
    whole = Batch(*(torch.cat(columns, 1) for columns in zip(*(part.tensors for part in parts), strict=True)))
    with torch.no_grad():
        beliefs = acting.model.observe(whole, every_step=True)
        features = acting.model.policy_features(beliefs.latent, beliefs.state, reads)
    assert features.std() > 0.1
    assert torch.allclose(torch.stack(acting.behaviour.read, 1), features, atol=1e-4)


def test_acting_changes_no_weights_and_keeps_no_gradients():
    acting = mind(R2I, "hidden")
    before = parameters_to_vector(acting.model.parameters()).clone()
    agent = Agent(acting)
    action = agent.act(played(1)[0])
    assert action.dtype == np.float32
    assert action.shape == (3, 2)
    assert not any(leaf.requires_grad for leaf in agent.state())
    assert torch.equal(parameters_to_vector(acting.model.parameters()), before)


def test_pictures_are_turned_as_models_take_them():
    step = played(1)[0]._replace(obs=np.arange(3 * 2 * 4 * 5, dtype=np.uint8).reshape(3, 2, 4, 5))
    batch = as_batch(step, torch.device("cpu"))
    assert batch.obs.shape == (3, 1, 5, 2, 4)
    assert batch.obs[1, 0, 3, 1, 2] == step.obs[1, 1, 2, 3]
    assert batch.first.all()
    assert batch.cont.eq(1).all()
