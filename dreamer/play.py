"""`longdream play`: a trained agent acts in new episodes."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tyro

from ..datasets.bar import progress_bar
from ..eval.cli import chosen_device
from ..worldmodels.device import spawned_seed
from ..worldmodels.leave import fail
from ..worldmodels.train_config import check_fits
from .environments.catalogue import ONLINE
from .environments.row import Failed
from .environments.vector import Envs
from .episodes import Outcome
from .evaluation import Examination
from .films import save_film
from .loop import PLAY
from .stored import replay_info
from .trained import load_trained


@dataclass(frozen=True)
class PlayArguments:
    """Let a trained agent act in new episodes, and chance in the same ones.

        longdream play runs/memory
        longdream play runs/memory --episodes 1000 --seed 1 --film memory.png
        longdream play runs/memory --length 100        trained with another --length: what does it still remember?

    Prints mean return, length and share of successes, each with its standard error. The agent takes its likeliest
    actions. The environment's own options, as `train_dreamer.py --env NAME --help` lists them, may be others than those
    of the run if observations and actions stay what they are.
    """

    run: tyro.conf.Positional[Path]
    """The folder of an online run, or of one of its checkpoints."""
    episodes: int = 100
    envs: int = 8
    """Copies of the environment that are played side by side."""
    seed: int = 0
    """Of the episodes, which are none that a run has seen."""
    film: Path | None = None
    """Draw the first episode beside what the world model imagines of it: a GIF of images, a PNG of vectors."""
    device: str = "auto"
    """auto (a GPU where there is one), cpu, cuda, cuda:1."""

    def __post_init__(self) -> None:
        for name in ("episodes", "envs"):
            if getattr(self, name) < 1:
                raise ValueError(f"--{name} must be 1 or more, not {getattr(self, name)}")


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command: exit status 0, 2 where the user is wrong, 130 after Ctrl-C."""
    try:
        play(sys.argv[1:] if arguments is None else arguments)
    except KeyboardInterrupt:
        sys.exit(fail("play", "stopped", 130))
    except (ValueError, OSError, Failed) as error:
        sys.exit(fail("play", str(error), 2))


def play(arguments: Sequence[str]) -> None:
    """Play, and print what came of it.

    Raises:
        ValueError: there is no trained agent, an option is wrong, or the episodes are not what the agent can act in.
    """
    asked, others = tyro.cli(PlayArguments, prog="longdream play", args=arguments, return_unknown_args=True)
    trained = load_trained(asked.run, chosen_device(asked.device))
    config = trained.config
    prog = f"train_dreamer.py --env {config.env}"  # whose --help lists them
    options: Any = tyro.cli(type(config.options), prog=prog, args=others, default=config.options)
    check_fits(config.world_model, replay_info(config.env, options), f"{config.env} with these options")
    environment, seed = ONLINE[config.env], spawned_seed(asked.seed, 0, PLAY)
    with closing(Envs(environment, options, min(asked.envs, asked.episodes), seed)) as envs:
        examination = Examination(envs, asked.episodes, environment.success, seed)
        with progress_bar(total=2 * asked.episodes, unit="episode", leave=False) as bar:
            played = examination(trained.mind, tell=bar.update)
            floor = examination(trained.mind, by_chance=True, tell=bar.update)
    print(f"{config.env}, {config.model}, after {trained.step:,} steps: {asked.episodes:,} episodes, seed {asked.seed}")
    print("\n".join(report(played.outcomes, floor.outcomes)))
    if asked.film is not None:
        print(save_film(trained.mind, played.example, asked.film))


def report(agent: Sequence[Outcome], chance: Sequence[Outcome]) -> list[str]:
    """Return a table of what came of the agent's episodes and of those that chance played."""
    lines = [f"  {'':<8}{'agent':>20}{'chance':>20}"]
    columns = (zip(*played, strict=True) for played in (agent, chance))
    for name, mine, floor in zip(("return", "length", "success"), *columns, strict=True):
        if None not in mine:
            lines.append(f"  {name:<8}{_mean(mine):>20}{_mean(floor):>20}")
    return lines


def _mean(values: Sequence[float]) -> str:
    """Return a mean with its standard error, which takes two values."""
    error = f" ± {np.std(values, ddof=1) / np.sqrt(len(values)):.2g}" if len(values) > 1 else ""
    return f"{np.mean(values):.4g}{error}"
