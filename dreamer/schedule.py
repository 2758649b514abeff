"""When things happen in a run: everything is counted in environment steps, in whole numbers.

An environment step is an observation received, the first one of an episode among them: what is stored is what counts.
"""

from __future__ import annotations


def updates_due(steps: int, prefill: int, train_ratio: int, batch_steps: int) -> int:
    """Return how many updates a run owes after `steps` environment steps, all told.

    A pure function, so that nothing is lost or done twice where a run is stopped and goes on.

    Args:
        steps: environment steps so far.
        prefill: environment steps before training begins.
        train_ratio: steps replayed for every environment step.
        batch_steps: steps that one update replays.
    """
    return max(0, steps - prefill) * train_ratio // batch_steps


def crossed(before: int, now: int, every: int) -> bool:
    """Return whether a multiple of `every` was reached after `before` and up to `now`."""
    return now // every > before // every
