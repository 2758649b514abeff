"""A trained agent: what an online run has learned to act with, without its replay and optimisers."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path
from typing import NamedTuple

import torch

from ..worldmodels.checkpoint import CONFIG, load_model, read_state
from .agent import Mind
from .behaviour import Behaviour
from .checkpoint import STATE
from .config import DreamerConfig
from .saved import as_config


class Trained(NamedTuple):
    """What a checkpoint of an online run holds for acting."""

    mind: Mind  # in evaluation mode, float32
    config: DreamerConfig  # of the run
    step: int  # environment steps that it had learned from


def load_trained(path: str | Path, device: str | torch.device = "cpu") -> Trained:
    """Load what acts: `Agent(load_trained("runs/memory").mind)`.

    Args:
        path: the folder of an online run (its newest checkpoint is taken), or of one checkpoint.
        device: where the weights go.

    Raises:
        ValueError: there is no checkpoint, it is not of an online run, or it is damaged.
    """
    device = torch.device(device)
    model, content, folder = load_model(path, device)
    config = as_config(content, folder / CONFIG)
    features = model.policy_width(config.policy_input)
    weights = read_state(folder / STATE)["behaviour"]
    *_, bias = (tensor for name, tensor in weights.items() if name.startswith("actor."))  # of the actor's outputs
    discrete = len(bias) == (actions := config.world_model.actions)  # a Gaussian's are twice as many
    behaviour = Behaviour(config.behaviour, features, actions, discrete)
    behaviour.load_state_dict(weights)
    mind = Mind(model, behaviour.to(device).eval(), config.policy_input, device, nullcontext)
    return Trained(mind, config, content["step"])
