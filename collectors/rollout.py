"""One episode: a scripted policy drives an environment through context and query, and everything is written down."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any, NamedTuple

import gymnasium
import numpy as np

from ..datasets.episode import CONTEXT, NO_TELEPORT, QUERY, ArraySpec, Episode, EpisodeSpec, core_arrays
from .environment import Environment
from .registration import register


class Move(NamedTuple):
    """One action of an episode."""

    action: int
    pad: bool  # it only fills the phase up


def episode_seed(dataset_seed: int, index: int) -> int:
    """Return the seed of episode `index` of a data set; it fits uint64."""
    sequence = np.random.SeedSequence(dataset_seed, spawn_key=(index,))
    return int(sequence.generate_state(1, np.uint64)[0])


def policy_generator(seed: int) -> np.random.Generator:
    """Return the policy's own source of chance in the episode that `env.reset(seed=seed)` begins."""
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(1,)))


def collect_episode(environment: Environment, options: Any, seed: int) -> Episode:
    """Return an episode, by the environment's fast path where it has one."""
    if environment.fast is not None:
        return environment.fast(options, seed)
    return rollout(environment, options, seed)


def array_specs(environment: Environment, options: Any) -> dict[str, ArraySpec]:
    """Return the specification of all arrays of an episode, the common and the environment's own."""
    env = make(environment, options)
    image, actions = env.observation_space.shape, int(env.action_space.n)
    env.close()
    return core_arrays(image, actions) | environment.extras(options)


def make(environment: Environment, options: Any) -> gymnasium.Env:
    """Return the gymnasium environment under `options`.

    Raises:
        ValueError: if an option is out of range.
    """
    register()
    return gymnasium.make(environment.gym_id, disable_env_checker=True, **dataclasses.asdict(options))


def rollout(environment: Environment, options: Any, seed: int) -> Episode:
    """Return an episode by stepping the environment under its policy.

    Raises:
        ValueError: if the policy's phases do not fit the specification, the environment ends before the last step, or
            a side array is missing from `info`.
    """
    spec = environment.spec(options)
    env = make(environment, options)
    try:
        return _record(env, environment, spec, environment.extras(options), seed)
    finally:
        env.close()


def _record(
    env: gymnasium.Env, environment: Environment, spec: EpisodeSpec, extras: dict[str, ArraySpec], seed: int
) -> Episode:
    observation, info = env.reset(seed=seed)
    image = np.empty((spec.length, *observation.shape), np.uint8)
    action, pad = np.zeros(spec.length - 1, np.int64), np.zeros(spec.length - 1, bool)
    reward, terminal = np.zeros(spec.length, np.float32), np.zeros(spec.length, bool)
    sides = {k: np.empty((spec.length, *s.shape) if s.per_step else s.shape, s.dtype) for k, s in extras.items()}
    _write_sides(sides, extras, info, 0)
    image[0], teleport_from = observation, int(info.get("teleport_from", NO_TELEPORT))
    for t, (chosen, fills) in enumerate(_moves(env, environment, spec, seed), 1):
        if terminal[t - 1]:
            raise ValueError(f"{environment.gym_id} ends after step {t - 1} of {spec.length - 1}: its spec is too long")
        action[t - 1], pad[t - 1] = chosen, fills
        image[t], reward[t], terminal[t], _, info = env.step(chosen)
        _write_sides(sides, extras, info, t)
    return assemble(spec, int(env.action_space.n), seed, image, action, pad, reward, terminal, sides, teleport_from)


def _moves(env: gymnasium.Env, environment: Environment, spec: EpisodeSpec, seed: int) -> Iterator[Move]:
    """Yield the T - 1 moves of an episode; the environment is stepped between two of them."""
    rng, policy = policy_generator(seed), environment.policy
    yield from filled(policy.context(env, rng), spec.context - 1, environment.noop, "context")
    yield from filled(policy.query(env, rng), spec.query, environment.noop, "query")


def filled(actions: Iterator[int], steps: int, noop: int | None, phase: str) -> Iterator[Move]:
    """Yield a policy's actions, then no-ops, `steps` in all.

    Raises:
        ValueError: if there are too many actions, or too few and no no-op.
    """
    taken = 0
    for action in actions:
        if taken == steps:
            raise ValueError(f"the policy's {phase} goes on after the {steps} actions that the spec allows")
        yield Move(int(action), False)
        taken += 1
    if taken < steps and noop is None:
        raise ValueError(
            f"the policy's {phase} ends after {taken} of {steps} actions, and there is no no-op to fill it"
        )
    for _ in range(steps - taken):
        yield Move(int(noop or 0), True)


def _write_sides(sides: dict[str, np.ndarray], extras: dict[str, ArraySpec], info: dict[str, Any], t: int) -> None:
    """Copy the side arrays of step `t` out of `info`; values of the whole episode come from the reset."""
    for name, spec in extras.items():
        if name not in info:
            raise ValueError(f"the environment's info at step {t} lacks {name!r}, which its extras promise")
        if spec.per_step:
            sides[name][t] = info[name]
        elif t == 0:
            sides[name][...] = info[name]


def assemble(
    spec: EpisodeSpec,
    actions: int,
    seed: int,
    image: np.ndarray,
    action: np.ndarray,
    pad: np.ndarray,
    reward: np.ndarray,
    terminal: np.ndarray,
    extras: dict[str, np.ndarray],
    teleport_from: int = NO_TELEPORT,
) -> Episode:
    """Return the Episode of T observations and the T - 1 actions between them.

    Args:
        spec: lengths.
        actions: A, their number.
        seed: of the episode.
        image: (T H W C) uint8.
        action: (T - 1) int; action[t] is taken AT observation t.
        pad: (T - 1) bool, where the action only fills up.
        reward: (T) float32.
        terminal: (T) bool.
        extras: side arrays.
        teleport_from: the step whose pose the query starts from, if it does.
    """
    one_hot = np.zeros((spec.length, actions), np.uint8)
    one_hot[np.arange(1, spec.length), action] = 1  # the clock: action[t] led to image[t]
    phase = np.full(spec.length, QUERY, np.uint8)
    phase[: spec.context] = CONTEXT
    return Episode(
        obs=image,
        action=one_hot,
        reward=reward,
        is_first=np.arange(spec.length) == 0,
        terminal=terminal,
        phase=phase,
        pad=np.concatenate([[False], pad]),
        context=spec.context,
        seed=seed,
        teleport_from=teleport_from,
        extras=extras,
    )
