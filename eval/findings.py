"""What the numbers say, in words: what was learned and what was not.

Every sentence is made from the figures and the 95 % intervals over the evaluated episodes.
"""

from __future__ import annotations

import math
from enum import StrEnum
from typing import NamedTuple

import numpy as np

from . import intervals
from .evaluation import Evaluation
from .metrics import Accuracy
from .reasoning import Reasoning
from .recall import Recall

NEARLY_ALL = 0.95  # of the rewards or of the imagined steps: from here on "learned", below "partly learned"
ROUND_OFF = 1e-6  # relative: two float32 computations of one thing may differ by this, and that is no lead


class Verdict(StrEnum):
    """How a finding ends."""

    LEARNED = "learned"
    PARTLY = "partly learned"
    NOT = "not learned"
    OPEN = "not told by this data"


class Finding(NamedTuple):
    """One thing that a model may have learned."""

    topic: str
    verdict: Verdict
    text: str


def findings(evaluation: Evaluation) -> list[Finding]:
    """Return what `evaluation` says about seeing, imagining, and the reward, and about recall and doors if it does."""
    found = [
        seeing(evaluation),
        imagining(evaluation),
        telling_reward("Telling the reward from what it sees", evaluation.inferred_reward),
        telling_reward("Remembering the reward", evaluation.imagined_reward),
    ]
    if evaluation.recall is not None:
        found.append(recalling(evaluation.recall))
    if evaluation.reasoning is not None:
        found.append(keeping_track(evaluation.reasoning))
    return found


def best_floor(evaluation: Evaluation) -> str:
    """Return the name of the floor with the lower error on these episodes."""
    return min(("copy_last", "mean_context"), key=lambda name: getattr(evaluation, name).every.mse)


def floor_in_words(name: str) -> str:
    """Return a floor's name as it stands in a sentence."""
    return {"copy_last": "copying the last context frame", "mean_context": "showing the mean context frame"}[name]


def seeing(evaluation: Evaluation) -> Finding:
    """Say whether the model can draw what it sees: reconstruction of the query, against the best floor on it."""
    floor = best_floor(evaluation)
    least, seen = (
        getattr(evaluation, floor).every.mse,
        evaluation.reconstruction.every.window(evaluation.layout.context),
    )
    said = f"Drawing the query's frames while it sees them, the model's squared error is {number(seen)}"
    if least == 0:
        return Finding(
            "Seeing", Verdict.OPEN, f"{said}; these frames never change, so that {floor_in_words(floor)} is exact."
        )
    text = f"{said}, {percent(seen / least)} of the error of {floor_in_words(floor)} ({number(least)})."
    if seen < least / 2:
        return Finding("Seeing", Verdict.LEARNED, f"{text} It sees what changes.")
    if seen < least:
        return Finding(
            "Seeing", Verdict.PARTLY, f"{text} More than half of what changes is lost before any memory is asked for."
        )
    return Finding(
        "Seeing",
        Verdict.NOT,
        f"{text} It does not even draw what it is shown, so its imagination says nothing about memory.",
    )


def imagining(evaluation: Evaluation) -> Finding:
    """Say whether imagined frames are closer to the truth than the best floor, and for how long."""
    floor = best_floor(evaluation)
    model, other = evaluation.generation.every, getattr(evaluation, floor).every
    difference = intervals.mean(model.episodes - other.episodes)
    floors = np.minimum(evaluation.copy_last.every.curve, evaluation.mean_context.every.curve)
    ahead = model.curve < (1 - ROUND_OFF) * floors
    text = f"{_against(model.mse, other.mse, floor)} {_along(ahead)}"
    if len(evaluation.indices) < 2:
        return Finding("Imagining", Verdict.OPEN, f"{text} One episode does not say how much of this is luck.")
    margin = f"Over {len(evaluation.indices)} episodes the difference is {spread(difference)}"
    if difference.high < -ROUND_OFF * other.mse:
        verdict = Verdict.LEARNED if ahead.mean() >= NEARLY_ALL else Verdict.PARTLY
        return Finding("Imagining", verdict, f"{text} {margin}: better than the floor.{_gap(evaluation)}")
    if difference.low > ROUND_OFF * other.mse:
        return Finding("Imagining", Verdict.NOT, f"{text} {margin}: worse than remembering nothing at all.")
    return Finding("Imagining", Verdict.NOT, f"{text} {margin}: not to be told from remembering nothing at all.")


def telling_reward(topic: str, accuracy: Accuracy) -> Finding:
    """Say whether the final reward is told better than by always giving the more frequent answer."""
    found = accuracy.interval
    text = f"The final reward is told right in {share(found)} of {accuracy.episodes} episodes"
    if accuracy.majority == 1:
        every = "with" if accuracy.rewarded else "without"
        return Finding(
            topic, Verdict.OPEN, f"{text}, but every one of them ends {every} a reward: there is nothing to tell."
        )
    text = f"{text}; the more frequent answer is right in {percent(accuracy.majority)}, a coin in 50 %."
    if found.low > accuracy.majority:
        if found.value >= NEARLY_ALL:
            return Finding(topic, Verdict.LEARNED, f"{text} The model knows it.")
        return Finding(
            topic, Verdict.PARTLY, f"{text} The model knows it more often than the floor does, but not always."
        )
    return Finding(topic, Verdict.NOT, f"{text} That is not to be told from the floor.")


def recalling(recall: Recall) -> Finding:
    """Say whether the past is recalled with the most frames given, and whether they helped; over the common steps."""
    first, last = recall.model.common[0], recall.model.common[-1]
    floor = min(recall.copy_last.common[-1].value, recall.mean_context.common[-1].value)
    text = (
        f"Thrown back into its own past, with {recall.given[0]} frames of what follows the model's squared error is "
        f"{interval(first)}, with {recall.given[-1]} frames {interval(last)}, over the same steps; the better floor "
        f"has {number(floor)}."
    )
    if recall.episodes < 2 or not math.isfinite(last.value):
        return Finding("Recalling", Verdict.OPEN, f"{text} That is too little to tell.")
    if last.high >= (1 - ROUND_OFF) * floor:
        return Finding("Recalling", Verdict.NOT, f"{text} That is not to be told from the floor.")
    helped = "The frames help it" if last.high < first.low else "The frames make no difference to be told"
    if last.high < floor / 2:
        return Finding("Recalling", Verdict.LEARNED, f"{text} {helped}: it knows where it is.")
    return Finding("Recalling", Verdict.PARTLY, f"{text} {helped}; more than half of the floor's error is left.")


def keeping_track(reasoning: Reasoning) -> Finding:
    """Say whether the model knows which doors open: what comes of trying a locked one, against a constant answer."""
    told, topic = reasoning.tried, "Knowing which doors open"
    if not told.cases:
        return Finding(topic, Verdict.OPEN, "No locked door is tried in these episodes.")
    floor = max(told.always_open, told.always_closed)
    text = (
        f"At the first frame after a locked door is tried ({told.cases:,} times), the imagined door is right in "
        f"{share(told.interval)}; the more frequent answer is right in {percent(floor)}."
    )
    if told.interval.low <= floor:
        return Finding(topic, Verdict.NOT, f"{text} That is not to be told from the floor.")
    verdict = Verdict.LEARNED if told.interval.value >= NEARLY_ALL else Verdict.PARTLY
    return Finding(topic, verdict, f"{text} It keeps track of keys and doors.")


def number(value: float) -> str:
    """Return a figure with three significant digits."""
    return f"{value:.3g}" if abs(value) < 999.5 else f"{value:,.0f}"


def percent(value: float) -> str:
    """Return a share in [0, 1] in per cent, without rounding up to 100 or down to 0."""
    if not math.isfinite(value):
        return str(value)
    text = f"{100 * value:.1f}".removesuffix(".0")
    if text == "100" and value < 1:
        text = "99.9"
    if text == "0" and value > 0:
        text = f"{100 * value:.1g}"
    return f"{text} %"


def share(found: intervals.Interval) -> str:
    """Return a share with its interval."""
    return f"{percent(found.value)} ({100 * found.low:.1f} to {100 * found.high:.1f} %)"


def interval(found: intervals.Interval) -> str:
    """Return a figure with its interval."""
    return f"{number(found.value)} ({number(found.low)} to {number(found.high)})"


def spread(found: intervals.Interval) -> str:
    """Return a difference with its interval and sign."""
    return f"{found.value:+.3g} ({found.low:+.3g} to {found.high:+.3g})"


def _against(model: float, floor: float, name: str) -> str:
    said = f"Imagining the query from its actions alone, the model's squared error is {number(model)}"
    if floor == 0:
        return f"{said}; {floor_in_words(name)} is exact here."
    return f"{said}, {percent(model / floor)} of the error of {floor_in_words(name)} ({number(floor)})."


def _along(ahead: np.ndarray) -> str:
    """Say at which imagined steps the model is ahead of both floors: `ahead` (Q) bool. Steps are counted from 1."""
    if ahead.all():
        return "It is ahead of both floors at every imagined step."
    if not ahead.any():
        return "It is ahead of both floors at no imagined step."
    first, last = np.flatnonzero(ahead)[[0, -1]] + 1
    said = f"It is ahead of both floors at {ahead.sum()} of {len(ahead)} imagined steps"
    if last == len(ahead):
        return f"{said}, first at step {first} and still at the last one."
    return f"{said}; from step {last + 1} on it is never ahead again."


def _gap(evaluation: Evaluation) -> str:
    """Say how far imagining is from seeing."""
    seen = evaluation.reconstruction.every.window(evaluation.layout.context)
    if seen == 0:
        return ""
    times = number(evaluation.generation.every.mse / seen)
    return f" Its imagined frames have {times} times the error of those that it sees."
