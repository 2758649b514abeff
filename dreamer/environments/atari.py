"""Atari games under the rules of Atari 100k (extra `atari`; ale-py is under the GPL 2.0, and imported only here).

64 x 64 pictures in colour, each action taken for 4 frames (the last two laid over each other), no sticky actions, up to
30 idle actions at the start, an episode ends with the last life or after 108,000 frames. Rewards are not clipped.

Source: Kaiser et al., Model Based Reinforcement Learning for Atari (SimPLe), 2020; the settings are DreamerV3's.
"""

from __future__ import annotations

import gymnasium
from gymnasium.wrappers import AtariPreprocessing

from .environment import needed

REPEAT, IDLE, SIZE = 4, 30, 64  # frames to an action; actions; pixels across
STEPS = 108_000 // REPEAT  # of an episode: half an hour of play
GAMES = (
    "alien", "amidar", "assault", "asterix", "bank_heist", "battle_zone", "boxing", "breakout", "chopper_command",
    "crazy_climber", "demon_attack", "freeway", "frostbite", "gopher", "hero", "jamesbond", "kangaroo", "krull",
    "kung_fu_master", "ms_pacman", "pong", "private_eye", "qbert", "road_runner", "seaquest", "up_n_down",
)  # fmt: skip


def make_atari(game: str) -> gymnasium.Env:
    """Return a game.

    Raises:
        ValueError: if ale-py or OpenCV, which makes the pictures small, is not installed.
    """
    ale, _ = needed("ale_py", "atari"), needed("cv2", "atari")
    ale.ALEInterface.setLoggerMode(ale.LoggerMode.Error)  # else every game says hello
    env = needed("ale_py.env", "atari").AtariEnv(game, frameskip=1, repeat_action_probability=0.0)
    return AtariPreprocessing(env, IDLE, REPEAT, SIZE, grayscale_obs=False)
