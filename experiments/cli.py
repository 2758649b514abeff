"""`longdream sweep`: a whole comparison of world models with one command."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import tyro

from ..worldmodels.leave import fail
from ..worldmodels.run_folder import lock
from .begun import check_begun
from .plan import SweepConfig, read_sweep
from .summary import write_summary
from .sweep import Sweep
from .watch import say


@dataclass(frozen=True)
class SweepArguments:
    """Train and evaluate every model on every data set with every seed, as a YAML file says, and compare them.

    Stop it with Ctrl-C, or kill it: the same command goes on where it was. A run that fails is reported and the others
    go on; the exit status is then 1. Written into the sweep's folder: summary.md, summary.csv, generation.png, the runs
    (DATA/MODEL/seed-N, each as train_wm.py makes it, with its evaluations) and logs/.

    The file (configs/compare_2d.yaml is one):

        out: runs/compare
        data:
          dm14:
            path: data/dm14
            collect: {env: distracting_memory, width: 14, n: 5000}    # collected when it is missing
            models: {s4wm: {batch_size: 16}}                          # what a model is given on these data besides
        models:                                                       # options of train_wm.py, without dashes
          s4wm: {model: s4wm-tiny}
          wide: {model: s4wm-tiny, world_model.units: 512}
        train: {optim.schedule: constant}                             # shared by all models
        seeds: [0, 1]
        steps: 4500                                                   # the comparison at equal steps
        rounds: [0.1, 0.3, 1]         # shares of the steps at which all runs of a seed are measured before they go on
        minutes: slowest          # then at equal time: those that were faster go on for as long as the slowest took
        evaluate: {episodes: 200}                                     # options of `evaluate`
        parallel: 1                                                   # runs at once
        cpu_threads: 2                                                # of each
        launch: [accelerate, launch, --multi_gpu, --num_processes, "4"]    # default: plain Python

    Minutes are of training alone, without validation and saving, by the wall: runs that share cores slow each other
    down, so for equal time leave `parallel` at 1 or give every run its own cores. They need a constant learning rate:
    such a run is the same whether it was to end here or later, which a cosine schedule's is not.
    """

    config: tyro.conf.Positional[Path]  # the sweep's YAML file


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command: exit status 0, 1 where a run failed, 2 where the file is wrong, 128 + signal where stopped."""
    path = tyro.cli(SweepArguments, prog="longdream sweep", args=arguments).config
    try:
        config = read_sweep(path)
        check_begun(config)
        config.out.mkdir(parents=True, exist_ok=True)
        with lock(config.out):
            status = run(config)
    except (ValueError, OSError) as error:
        status = fail("sweep", str(error), 2)
    except KeyboardInterrupt:  # while no run is at work
        status = fail("sweep", "stopped; the same command goes on from here", 130)
    sys.exit(status)


def run(config: SweepConfig) -> int:
    """Do the sweep and write its summary into its folder, which is there; return the exit status."""
    outcome = Sweep(config).run()
    write_summary(config)
    say(f"{config.out / 'summary.md'}")
    if outcome.signal:
        return 128 + outcome.signal
    return 1 if outcome.failed else 0


if __name__ == "__main__":
    main()
