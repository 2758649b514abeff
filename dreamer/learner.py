"""Learning from a batch: first the world model, then, in what that imagines from the steps of the batch, the behaviour.

Axes: B batch, T time.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from torch import Tensor, nn
from torch.optim import Optimizer

from ..datasets.batch import Batch
from ..worldmodels.checkpoint import load_model
from ..worldmodels.families import build
from ..worldmodels.optim import build_optimizer, lr_factor, set_lr
from ..worldmodels.presets import OptimConfig
from .agent import Mind
from .behaviour import Behaviour
from .config import DreamerConfig
from .imagination import choose_starts
from .schedule import updates_due


class Learner:
    """World model and behaviour with their optimisers, on one process or several.

    Attributes:
        accelerator: of this process.
        updates: how many were made.
        parameters: how many there are.
        model: the world model, as Accelerate prepared it.
        behaviour: actor and critic, likewise.
        optimizer: of the world model.
        behaviour_optimizer: of actor and critic.
    """

    def __init__(self, config: DreamerConfig, discrete: bool, accelerator: Accelerator) -> None:
        """Build both from the seed.

        Raises:
            ValueError: the world model does not have what the policy is to read.
        """
        self._config, self.accelerator = config, accelerator
        self._total = updates_due(config.env_steps, config.prefill, config.train_ratio, config.batch_steps)
        self.updates = 0
        torch.manual_seed(config.seed)  # the same weights in every process
        model = build(config.world_model)
        features = model.policy_width(config.policy_input)
        behaviour = Behaviour(config.behaviour, features, config.world_model.actions, discrete)
        self.parameters = sum(p.numel() for part in (model, behaviour) for p in part.parameters())
        optimizers = build_optimizer(model, config.optim), build_optimizer(behaviour, config.behaviour_optim)
        self.model, self.behaviour = accelerator.prepare(model, behaviour)
        self.optimizer, self.behaviour_optimizer = accelerator.prepare(*optimizers)

    @property
    def mind(self) -> Mind:
        """What an agent acts with: both without DDP's wrappers."""
        accelerator = self.accelerator
        model, behaviour = (accelerator.unwrap_model(part) for part in (self.model, self.behaviour))
        return Mind(model, behaviour, self._config.policy_input, accelerator.device, accelerator.autocast)

    def update(self, batch: Batch) -> dict[str, Tensor]:
        """Learn from a batch (B T ...), whose rows are seen with fresh eyes; return detached scalars for the log."""
        config, mind, batch = self._config, self.mind, batch.afresh()
        self._set_rate(self.optimizer, config.optim)
        seen = self.model(batch, every_step=True)
        self.accelerator.backward(seen.total)
        norm = self._clip(self.model, config.optim)
        self._descend(self.optimizer)
        starts = choose_starts(seen.latent, seen.state, batch.cont, config.behaviour.imagine_every)
        imagined = self.behaviour(mind.model, starts, mind.reads)
        self._set_rate(self.behaviour_optimizer, config.behaviour_optim)
        self.accelerator.backward(imagined.actor + imagined.critic)
        norms = {
            f"{name}_grad_norm": self._clip(part, config.behaviour_optim)
            for name, part in (("actor", mind.behaviour.actor), ("critic", mind.behaviour.critic))
        }
        self._descend(self.behaviour_optimizer)
        mind.behaviour.update_slow_critic()
        self.updates += 1
        of_behaviour = {f"behaviour_{name}": term for name, term in imagined.terms.items()}
        return {"loss": seen.total.detach(), **seen.terms, "grad_norm": norm, **of_behaviour, **norms}

    def take_over(self, run: Path) -> None:
        """Begin with the world model of another run.

        Raises:
            ValueError: it cannot be read, or is of other sizes.
        """
        try:
            self.mind.model.load_state_dict(load_model(run).model.state_dict())
        except RuntimeError as error:
            why = str(error).splitlines()[-1].strip()
            raise ValueError(f"the world model of {run} is of other sizes than this run's: {why}") from error

    def state(self) -> dict[str, Any]:
        """Return what `restore` takes: everything but the world model's weights, which have a file of their own."""
        return {
            "updates": self.updates,
            "behaviour": self.mind.behaviour.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "behaviour_optimizer": self.behaviour_optimizer.state_dict(),
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Undo `state`."""
        self.updates = state["updates"]
        self.mind.behaviour.load_state_dict(state["behaviour"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.behaviour_optimizer.load_state_dict(state["behaviour_optimizer"])

    def _set_rate(self, optimizer: Optimizer, config: OptimConfig) -> None:
        set_lr(optimizer, lr_factor(self.updates, self._total, config))

    def _clip(self, part: nn.Module, config: OptimConfig) -> Tensor:
        return self.accelerator.clip_grad_norm_(part.parameters(), config.clip)

    @staticmethod
    def _descend(optimizer: Optimizer) -> None:
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
