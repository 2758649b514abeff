"""Environments for the tests. Workers import this file, so it imports little."""

import os
from functools import partial

import gymnasium
import numpy as np
from gymnasium import spaces

from longdream.datasets.episode import ArraySpec
from longdream.dreamer.environments.environment import NoOptions, OnlineEnvironment

SIDES = {"time": ArraySpec("uint8", ()), "places": ArraySpec("float32", (2, 2)), "start": ArraySpec("int32", (), False)}
EXITS, RAISES = (0, 1), (2, 3)  # last digits of the number that an episode began with


class Counter(gymnasium.Env):
    """Counts its steps, and tens of actions up from a number that the seed gives; ends after five steps.

    It can be told to "raise" in the third step; to do so "sometimes" and sometimes to exit, as the number it began with
    says; or to leave its second number to "chance".
    """

    def __init__(self, how=""):
        self.how, self.time, self.start = how, 0, 0
        self.observation_space = spaces.Box(-np.inf, np.inf, (2,), np.float32)
        self.action_space = spaces.Discrete(3)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.time, self.start = 0, int(self.np_random.integers(1000))
        return self.see(), self.tell()

    def step(self, action):
        self.time += 1
        self.start += 10 * int(action)
        if self.time == 3 and self.how == "sometimes" and self.start % 10 in EXITS:
            os._exit(3)
        if self.time == 3 and (self.how == "raise" or (self.how == "sometimes" and self.start % 10 in RAISES)):
            raise FloatingPointError("the physics\nblew up")
        return self.see(), float(action), self.time == 5, False, self.tell()

    def tell(self):
        """Return what SIDES names, `start` as it is NOW: it is to be taken from the reset alone."""
        return {"time": self.time, "places": np.full((2, 2), self.time / 2), "start": self.start, "other": object()}

    def see(self):
        drift = np.random.default_rng().random() if self.how == "chance" else 0.0
        return np.array([self.start, self.time + drift], np.float32)


class Push(gymnasium.Env):
    """Sums what it is pushed with; endless."""

    def __init__(self):
        self.observation_space = spaces.Box(-np.inf, np.inf, (2,), np.float32)
        self.action_space = spaces.Box(-1, 1, (2,), np.float32)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.place = self.np_random.random(2).astype(np.float32)
        return self.place.copy(), {}

    def step(self, action):
        self.place = self.place + action
        return self.place.copy(), float(self.place[0]), False, False, {}


def counter(how="", limit=100, sides=SIDES):
    """Return the Counter as an entry of the catalogue; `how` it fails in its third step: see there."""
    make = partial(Counter, how)
    return OnlineEnvironment("a counter", make, NoOptions(), lambda options: limit, sides=lambda options: sides)


def push(limit=4):
    """Return Push as an entry of the catalogue."""
    return OnlineEnvironment("pushes", Push, NoOptions(), lambda options: limit)
