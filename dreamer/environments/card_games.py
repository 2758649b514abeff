"""POPGym's memory games with cards: Repeat Previous, Autoencode, Concentration (extra `popgym`).

Source: Morad et al., POPGym: Benchmarking Partially Observable Reinforcement Learning, 2023; the package as it is. An
observation becomes a vector of one-hots. Repeat Previous and Autoencode end when the cards do; Concentration ends when
all pairs are found, and is cut off after about two looks at every card.
"""

from __future__ import annotations

from typing import NamedTuple

import gymnasium

from .environment import needed


class CardGame(NamedTuple):
    """One game of the package at one level."""

    module: str  # in popgym.envs
    family: str  # the class
    steps: int  # of an episode, at most
    about: str


GAMES = {
    "repeat_previous_easy": CardGame("repeat_previous", "RepeatPreviousEasy", 51, "the suit of 4 cards ago"),
    "repeat_previous_medium": CardGame("repeat_previous", "RepeatPreviousMedium", 103, "the suit of 32 cards ago"),
    "repeat_previous_hard": CardGame("repeat_previous", "RepeatPreviousHard", 155, "the suit of 64 cards ago"),
    "autoencode_easy": CardGame("autoencode", "AutoencodeEasy", 103, "the suits of 52 cards, backwards"),
    "autoencode_medium": CardGame("autoencode", "AutoencodeMedium", 207, "the suits of 104 cards, backwards"),
    "autoencode_hard": CardGame("autoencode", "AutoencodeHard", 311, "the suits of 156 cards, backwards"),
    "concentration_easy": CardGame("concentration", "ConcentrationEasy", 104, "52 cards: pairs of a colour"),
    "concentration_medium": CardGame("concentration", "ConcentrationMedium", 208, "104 cards: pairs of a colour"),
    "concentration_hard": CardGame("concentration", "ConcentrationHard", 104, "52 cards: pairs of a rank"),
}


def make_card_game(name: str) -> gymnasium.Env:
    """Return one of GAMES.

    Raises:
        ValueError: if POPGym is not installed.
    """
    game = GAMES[name]
    return getattr(needed(f"popgym.envs.{game.module}", "popgym"), game.family)()
