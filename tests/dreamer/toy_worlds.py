"""Worlds whose best behaviour is known, as world models that are right about them; and small models of real kinds."""

from typing import Any

import torch
import torch.nn.functional as F

from longdream.datasets.batch import Batch
from longdream.dreamer.imagination import Starts
from longdream.worldmodels.backbones.s4 import S4Config
from longdream.worldmodels.backbones.s5 import S5Config
from longdream.worldmodels.base import Latent, Prediction, WorldModel
from longdream.worldmodels.codecs.vectors import VectorConfig
from longdream.worldmodels.families import build
from longdream.worldmodels.latents import LatentConfig
from longdream.worldmodels.parallel import ParallelConfig
from longdream.worldmodels.rssm import RSSMConfig


class ToyWorld(WorldModel):
    """A world model without learning: its state is (N X), and z is that state."""

    def initial(self, batch_size):
        raise AssertionError("imagination begins from given states")

    def observe(self, *_, **__):
        return self.initial(1)

    def forward(self, *_, **__):
        return self.initial(1)

    def step_cache(self):
        return None

    def policy_features(self, latent, state, kind):
        return latent.stoch.flatten(-2)

    def policy_width(self, kind):
        return self.width

    @staticmethod
    def latent(state):
        """(N X) -> (N 1 ...)."""
        return Latent(state.new_zeros(len(state), 1, 1), state[:, None, None])


class Corridor(ToyWorld):
    """States 0..5 and the actions left, stay, right.

    Arriving at 4 brings 1, arriving at 0 brings 0.3, and either ends the episode. Who goes on regardless comes to 5,
    where every step brings 5.
    """

    width = 6
    left, stay, right = 0, 1, 2

    def __init__(self):
        super().__init__()
        after = torch.tensor([[5, 5, 5], [0, 1, 2], [1, 2, 3], [2, 3, 4], [5, 5, 5], [5, 5, 5]])
        self.register_buffer("after", F.one_hot(after, 6).float())
        self.rewards = torch.nn.Parameter(torch.tensor([0.3, 0, 0, 0, 1, 5]))
        self.goes_on = torch.nn.Parameter(torch.tensor([0.0, 1, 1, 1, 0, 1]))

    def imagine_step(self, state, action, cache, generators=None):
        state = torch.einsum("ns,na,sax->nx", state, action, self.after.to(state.dtype))
        return self.latent(state), state

    def predict(self, latent):
        state = latent.stoch[:, :, 0]
        return Prediction(state, state @ self.rewards, state @ self.goes_on)

    def starts(self, states):
        state = F.one_hot(torch.tensor(states), 6).to(self.rewards.dtype)
        return Starts(self.latent(state), state, (state @ self.goes_on).detach())


class Line(ToyWorld):
    """A point on a line, pushed by at most half a unit a step; a step costs the squared distance to the goal.

    The further to the left, the likelier is the end of the episode.

    Its state is (position, 1): without a constant the norm in the actor's first layer would leave the sign alone.
    """

    width = 2
    goal, push = 0.4, 0.5

    def __init__(self):
        super().__init__()
        self.strength = torch.nn.Parameter(torch.tensor(self.push))

    def imagine_step(self, state, action, cache, generators=None):
        state = torch.cat([state[:, :1] + self.strength * action, state[:, 1:]], 1)
        return self.latent(state), state

    def predict(self, latent):
        state = latent.stoch[:, :, 0]
        return Prediction(state, -((state[..., 0] - self.goal) ** 2), torch.sigmoid(4 + state[..., 0]))

    def starts(self, positions):
        state = torch.tensor([[x, 1.0] for x in positions], dtype=self.strength.dtype)
        return Starts(self.latent(state), state, torch.ones(len(state), dtype=state.dtype))


SHARED: dict[str, Any] = {
    "actions": 3,
    "codec": VectorConfig(size=4, units=8, layers=1),
    "latent": LatentConfig(variables=2, classes=3),
    "units": 8,
    "head_layers": 1,
}
MODELS = {
    "r2i": ParallelConfig(**SHARED, backbone=S5Config(2, 1, 6, 0, 8, 2, norm="post"), deter=10),
    "s4wm": ParallelConfig(**SHARED, backbone=S4Config(blocks=1, width=6, mlp=8, state=4, kernel="s4d")),
    "rssm": RSSMConfig(**SHARED, width=10),
}


def small_model(name):
    torch.manual_seed(0)
    model = build(MODELS[name])
    for head in (model.reward, model.cont):  # a new reward head says 0, whatever it is asked
        torch.nn.init.normal_(head.net[-1].weight)
    return model


def random_sequence(model, rows, steps):
    """The latent, the state and the continue of a batch, after every step."""
    action = torch.randn(rows, steps, 3)
    first = torch.zeros(rows, steps, dtype=torch.bool)
    first[:, 0] = True
    cont = (torch.rand(rows, steps) > 0.3).float()
    batch = Batch(torch.randn(rows, steps, 4), action, torch.zeros(rows, steps), cont, first)
    beliefs = model.observe(batch, every_step=True)
    return beliefs.latent, beliefs.state, cont
