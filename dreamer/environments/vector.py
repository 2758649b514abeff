"""N environments side by side: stepped together, each with episodes of its own, survived when they fail.

A row whose episode has ended is reset INSTEAD of stepped: so every observation, first ones too, is one step, and the
clock is that of the data sets: `action` LED TO `obs`; `reward`, `terminal` were got on arriving there.

Axes: N rows, A action; the axes of an observation are (...).
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from types import TracebackType
from typing import Any, NamedTuple

import numpy as np
from gymnasium import spaces

from ...datasets.episode import ArraySpec
from .environment import OnlineEnvironment, make_online
from .row import Arrival, Failed, Row

PATIENCE = 5  # failures of a row without an episode that ended between them


class Steps(NamedTuple):
    """One step of every row."""

    obs: np.ndarray  # (N ...) uint8 or float32
    reward: np.ndarray  # (N) float32
    terminal: np.ndarray  # (N) bool, the episode ended here
    truncated: np.ndarray  # (N) bool, it was cut off here
    first: np.ndarray  # (N) bool, an episode begins here; where the last one had not ended, it is to be dropped
    episode: np.ndarray  # (N) int64, its number in this row
    action: np.ndarray  # (N A) float32 as it was taken; zeros where `first`


def episode_seed(seed: int, row: int, episode: int) -> int:
    """Return the seed of a row's episode in the run of `seed`; it fits uint64."""
    return int(np.random.SeedSequence(seed, spawn_key=(row, episode)).generate_state(1, np.uint64)[0])


def _say(text: str) -> None:
    print(text, file=sys.stderr)


class Envs:
    """N environments; see the module's docstring. They are to be closed.

    Attributes:
        observation: type and shape of one observation.
        actions: A.
        discrete: whether actions are one-hot; else they are in [-1, 1].
        count: N.
        last: the latest step; None before the first.
        failures: episodes lost to environments that failed.
    """

    last: Steps | None
    _sides: list[dict[str, np.ndarray]]  # (N) of the latest step
    _episode: np.ndarray  # (N) int64, -1 before the first
    _ended: np.ndarray  # (N) bool, what comes next is a reset
    _taken: list[list[Any]]  # (N) actions of the running episodes

    def __init__(
        self,
        environment: OnlineEnvironment,
        options: Any,
        count: int,
        seed: int,
        processes: bool | None = None,
        report: Callable[[str], object] = _say,
    ) -> None:
        """Open the environments.

        Args:
            environment: of the catalogue.
            options: the environment's.
            count: N.
            seed: of the run. Episode e of row n is a function of it, n, e and the actions.
            processes: one each; by default if the environment is slow.
            report: takes a line that the user should read.

        Raises:
            ValueError: if an option is out of range, or something is not installed.
        """
        if count < 1:
            raise ValueError(f"{count} environments: 1 or more")
        self.count, self.seed, self.failures, self._report = count, seed, 0, report
        make = partial(make_online, environment.make, options, environment.max_steps(options))
        like = make()
        space, actions = like.observation_space, like.action_space
        self.observation = ArraySpec(space.dtype.name, space.shape)
        self.discrete = isinstance(actions, spaces.Discrete)
        self.actions = int(actions.n) if self.discrete else int(actions.shape[0])
        like.close()
        process = environment.slow if processes is None else processes
        self._rows = _open_rows(partial(Row, make, like, process, environment.sides(options)), count)
        self._failed_in_a_row = [0] * count
        self._forget()

    def step(self, actions: np.ndarray) -> Steps:
        """Step every row, or reset it where its episode has ended; the first call resets all.

        Args:
            actions: (N A) one-hot, or in [-1, 1]. Where a row is reset its action is ignored.

        Raises:
            Failed: if an environment fails again and again.
        """
        taken = actions.argmax(1) if self.discrete else np.clip(actions, -1, 1).astype(np.float32)  # (N) or (N A)
        first = self._ended.copy()
        for n, row in enumerate(self._rows):
            if first[n]:
                self._begin(n)
            else:
                self._taken[n].append(taken[n])
                row.step(taken[n])
        arrivals = []
        for n, row in enumerate(self._rows):
            try:
                arrivals.append(row.receive())
            except Failed as error:
                arrivals.append(self._begin_anew(n, error))
                first[n] = True
        self.last = self._steps(arrivals, first, taken)
        return self.last

    @property
    def sides(self) -> dict[str, np.ndarray]:
        """What `info` said of the world at the latest step: {name: (N ...)}, and what it said of the whole episode."""
        return {name: np.stack([row[name] for row in self._sides]) for name in self._sides[0]}

    def state(self) -> dict[str, np.ndarray]:
        """Return what `restore` takes: arrays by name, nothing of which changes any more."""
        width = 1 if self.discrete else self.actions
        kind = np.int64 if self.discrete else np.float32
        taken = [np.asarray(row, kind).reshape(-1, width) for row in self._taken]
        state = {
            "episode": self._episode.copy(),  # (N)
            "ended": self._ended.copy(),  # (N)
            "length": np.array([len(row) for row in taken]),  # (N)
            "taken": np.concatenate(taken),  # (sum of lengths, 1 or A)
        }
        return state | ({} if self.last is None else {f"last.{k}": v.copy() for k, v in self.last._asdict().items()})

    def restore(self, state: dict[str, np.ndarray]) -> None:
        """Go on from a state, to the bit: running episodes are begun again from their seeds and their actions taken.

        Where that does not lead to the same observation, a new episode begins at the next step, and a line says so.

        Raises:
            ValueError: if the state is of another number of environments.
        """
        if len(state["episode"]) != self.count:
            raise ValueError(f"the state is of {len(state['episode'])} environments, not of {self.count}")
        self._forget()
        if any(name.startswith("last.") for name in state):
            self.last = Steps(*(state[f"last.{name}"].copy() for name in Steps._fields))
        self._episode, self._ended = state["episode"].copy(), state["ended"].copy()
        running = [n for n in range(self.count) if not self._ended[n]]
        ends = np.cumsum(state["length"])
        for n in running:
            taken = state["taken"][ends[n] - state["length"][n] : ends[n]]
            taken = taken[:, 0] if self.discrete else taken
            self._taken[n] = list(taken)
            self._rows[n].begin(self._seed_of(n), taken)
        for n in running:
            self._check_replayed(n)

    def close(self) -> None:
        """Close all environments; no process is left."""
        for row in self._rows:
            row.close()

    def __enter__(self) -> Envs:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _forget(self) -> None:
        self.last, self._sides = None, [{}] * self.count
        self._episode = np.full(self.count, -1, np.int64)
        self._ended = np.ones(self.count, bool)
        self._taken = [[] for _ in range(self.count)]

    def _seed_of(self, n: int) -> int:
        return episode_seed(self.seed, n, int(self._episode[n]))

    def _begin(self, n: int) -> None:
        self._episode[n] += 1
        self._taken[n] = []
        self._rows[n].begin(self._seed_of(n))

    def _begin_anew(self, n: int, error: Failed) -> Arrival:
        """Replace a row that has failed; return the first observation of its next episode."""
        while True:
            self._count_failure(n, error)
            self._report(f"environment {n} failed in episode {self._episode[n]}, which is dropped: {error}")
            try:
                self._rows[n].replace()
                self._begin(n)
                return self._rows[n].receive()
            except Failed as again:
                error = again

    def _count_failure(self, n: int, error: Failed) -> None:
        self.failures += 1
        self._failed_in_a_row[n] += 1
        if self._failed_in_a_row[n] > PATIENCE:
            raise Failed(f"environment {n} failed {PATIENCE + 1} times and finished no episode between: {error}")

    def _steps(self, arrivals: list[Arrival], first: np.ndarray, taken: np.ndarray) -> Steps:
        """Put what the rows gave together, and note whose episodes have ended."""
        obs, reward, terminal, truncated, sides = zip(*arrivals, strict=True)
        self._sides = list(sides)
        ended = np.array(terminal) | np.array(truncated)
        for n in np.flatnonzero(ended):
            self._failed_in_a_row[n] = 0
        self._ended = ended
        action = np.eye(self.actions, dtype=np.float32)[taken] if self.discrete else taken  # (N A)
        return Steps(
            np.stack(obs),
            np.array(reward, np.float32),
            np.array(terminal),
            np.array(truncated),
            first,
            self._episode.copy(),
            np.where(first[:, None], np.float32(0), action),
        )

    def _check_replayed(self, n: int) -> None:
        """Receive what a replayed episode led to; if it is not what it was, let a new one begin."""
        assert self.last is not None, "a running episode has had a step"
        try:
            same, why = np.array_equal(self._rows[n].receive().obs, self.last.obs[n]), "it is not deterministic here"
        except Failed as error:
            self._rows[n].replace()
            same, why = False, str(error)
        if not same:
            self._ended[n] = True
            self._report(f"environment {n}: episode {self._episode[n]} cannot be gone on with, a new one begins: {why}")


def _open_rows(open_row: Callable[[], Row], count: int) -> list[Row]:
    """Open rows at the same time: a process takes seconds to start."""
    with ThreadPoolExecutor(count) as pool:
        rows = [pool.submit(open_row) for _ in range(count)]
    try:
        return [row.result() for row in rows]
    except Failed:
        for row in rows:
            if row.exception() is None:
                row.result().close()
        raise
