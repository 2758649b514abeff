"""Environments side by side: the clock, seeds, restoring, and what happens when they fail."""

import itertools
import multiprocessing
import os
import signal
import time

import numpy as np
import psutil
import pytest

from longdream.dreamer.environments.catalogue import ONLINE
from longdream.dreamer.environments.environment import NoOptions
from longdream.dreamer.environments.vector import PATIENCE, Envs, episode_seed
from longdream.tests.dreamer.environments import environment_toys
from longdream.tests.dreamer.environments.environment_toys import EXITS, RAISES, SIDES, Counter, counter, push
from longdream.tests.dreamer.environments.online_drives import available, made, random_actions

both = pytest.mark.parametrize("processes", [False, True], ids=["here", "in processes"])
REAL = ("memory_len", "cartpole_swingup_pixels", "popgym_autoencode_easy", "dmc_walker_walk", "atari_pong")


def run(envs, steps, seed=0):
    """Play by chance; return all steps."""
    rng = np.random.default_rng(seed)
    return [envs.step(random_actions(envs, rng)) for _ in range(steps)]


def same(a, b):
    """Say whether two steps are the same to the bit."""
    return all(np.array_equal(x, y) and x.dtype == y.dtype for x, y in zip(a, b, strict=True))


@both
def test_rows_are_the_environments_stepped_alone(processes):
    """The slow reference: a loop over each environment, with the seeds of its episodes."""
    entry, options = ONLINE["memory_len"], ONLINE["memory_len"].options.__class__(length=3)
    rng = np.random.default_rng(0)
    with Envs(entry, options, 3, 11, processes) as envs:
        assert envs.observation == ("float32", (3,), True)
        assert (envs.actions, envs.discrete) == (2, True)
        actions = [random_actions(envs, rng) for _ in range(14)]
        steps = [envs.step(action) for action in actions]
    for n in range(3):
        env, number, ended = made("memory_len", options), -1, True
        for t, step in enumerate(steps):
            if ended:
                number += 1
                expected, outcome = env.reset(seed=episode_seed(11, n, number))[0], (0, False, False)
            else:
                expected, *outcome, _ = env.step(int(actions[t][n].argmax()))
            assert step.first[n] == ended
            assert np.array_equal(step.action[n], 0 * actions[t][n] if ended else actions[t][n])
            assert np.array_equal(step.obs[n], expected)
            assert (step.reward[n], step.terminal[n]) == (outcome[0], outcome[1])
            assert step.episode[n] == number
            ended = outcome[1]


@both
def test_side_arrays_are_those_of_the_step_and_of_the_episode(processes):
    rng, begun = np.random.default_rng(0), None
    with Envs(counter(), NoOptions(), 2, 5, processes) as envs:
        for t in range(14):
            steps = envs.step(random_actions(envs, rng))
            begun = steps.obs[:, 0] if t % 6 == 0 else begun  # five steps after each reset
            assert {name: (side.dtype, side.shape) for name, side in envs.sides.items()} == {
                name: (np.dtype(spec.dtype), (2, *spec.shape)) for name, spec in SIDES.items()
            }
            assert (envs.sides["time"] == t % 6).all()
            assert (envs.sides["places"] == t % 6 / 2).all()
            assert np.array_equal(envs.sides["start"], begun), "what the episode began with, not what it is now"


@both
def test_side_arrays_of_a_running_episode_are_restored(processes):
    with Envs(counter(), NoOptions(), 2, 5, processes) as envs:
        run(envs, 9)
        state = envs.state()
        run(envs, 1, seed=1)
        expected = envs.sides
    with Envs(counter(), NoOptions(), 2, 5, processes) as envs:
        envs.restore(state)
        run(envs, 1, seed=1)
        assert all(np.array_equal(envs.sides[name], expected[name]) for name in SIDES)


def test_a_side_array_that_is_not_told_is_a_failure():
    lines = []
    entry = counter(sides=SIDES | {"absent": SIDES["time"]})
    with (
        Envs(entry, NoOptions(), 1, 5, report=lines.append) as envs,
        pytest.raises(RuntimeError, match="KeyError: 'absent'"),
    ):
        run(envs, 9)
    assert len(lines) == PATIENCE


def test_a_limit_cuts_off_and_an_end_ends():
    with Envs(counter(limit=5), NoOptions(), 1, 0) as envs:
        steps = run(envs, 7)
    assert [bool(s.terminal[0]) for s in steps] == [False] * 5 + [True, False]
    assert not any(s.truncated[0] for s in steps)  # both at once: it is the end
    with Envs(counter(limit=3), NoOptions(), 1, 0) as envs:
        steps = run(envs, 9)
    assert [bool(s.truncated[0]) for s in steps] == [False, False, False, True] * 2 + [False]
    assert [bool(s.first[0]) for s in steps] == [True, False, False, False] * 2 + [True]
    assert not any(s.terminal[0] for s in steps)


def test_continuous_actions_are_limited_and_stored_as_taken():
    with Envs(push(), NoOptions(), 2, 0) as envs:
        first = envs.step(np.full((2, 2), 5, np.float32))
        second = envs.step(np.array([[5, -5], [0.25, 0.5]], np.float32))
    assert not first.action.any()
    assert second.action.tolist() == [[1, -1], [0.25, 0.5]]
    assert np.allclose(second.obs - first.obs, second.action)


def test_episode_seeds_are_all_different_and_the_same_tomorrow():
    seeds = {episode_seed(s, n, e) for s in range(5) for n in range(5) for e in range(5)}
    assert len(seeds) == 125
    assert episode_seed(0, 1, 2) == int(np.random.SeedSequence(0, spawn_key=(1, 2)).generate_state(1, np.uint64)[0])


@pytest.mark.parametrize("before", [0, 1, 4, 13])
@pytest.mark.parametrize("make", [counter, push])
def test_a_restored_run_goes_on_exactly(make, before):
    """Also where nothing has been done yet, and where an episode has just begun or ended."""
    for more in range(3):
        with Envs(make(), NoOptions(), 3, 5) as envs:
            run(envs, before + more)
            state = envs.state()
            expected = run(envs, 12, seed=1)
        kept = {name: array.copy() for name, array in state.items()}
        with Envs(make(), NoOptions(), 3, 5) as envs:
            run(envs, 3, seed=9)
            envs.restore(state)
            assert all(same(a, b) for a, b in zip(run(envs, 12, seed=1), expected, strict=True))
            run(envs, 2)
        assert all(np.array_equal(state[name], kept[name]) for name in kept)


@pytest.mark.parametrize("name", REAL)
def test_real_environments_are_restored_exactly(name):
    if not available(name):
        pytest.skip(f"needs longdream[{ONLINE[name].extra}]")
    entry = ONLINE[name]
    with Envs(entry, entry.options, 2, 3, processes=False) as envs:
        run(envs, 9)
        state = envs.state()
        expected = run(envs, 9, seed=1)
        envs.restore(state)
        assert all(same(a, b) for a, b in zip(run(envs, 9, seed=1), expected, strict=True))


def test_restored_in_processes_and_not_in_them_is_the_same():
    with Envs(counter(), NoOptions(), 2, 5, processes=True) as envs:
        run(envs, 9)
        state = envs.state()
        expected = run(envs, 8, seed=1)
    with Envs(counter(), NoOptions(), 2, 5, processes=False) as envs:
        envs.restore(state)
        assert all(np.array_equal(part, state[f"last.{name}"]) for name, part in envs.last._asdict().items())
        assert all(same(a, b) for a, b in zip(run(envs, 8, seed=1), expected, strict=True))


def test_what_does_not_replay_begins_anew_and_is_reported():
    lines = []
    with Envs(counter("chance"), NoOptions(), 2, 5, report=lines.append) as envs:
        steps = run(envs, 3)
        envs.restore(envs.state())
        assert [line.split(":")[0] for line in lines] == ["environment 0", "environment 1"]
        assert "not deterministic" in lines[0]
        after = run(envs, 1)[0]
    assert not steps[-1].first.any()
    assert after.first.all()
    assert after.episode.tolist() == [1, 1]


def test_a_state_of_other_rows_is_refused():
    with Envs(counter(), NoOptions(), 2, 0) as two:
        state = two.state()
    with Envs(counter(), NoOptions(), 3, 0) as three, pytest.raises(ValueError, match="2 environments, not of 3"):
        three.restore(state)
    with pytest.raises(ValueError, match="0 environments"):
        Envs(counter(), NoOptions(), 0, 0)


def begins_with(seed, row, episode):
    """Return the last digit of the number that an episode of Counter begins with."""
    return int(np.random.default_rng(np.random.SeedSequence(episode_seed(seed, row, episode))).integers(1000)) % 10


def test_a_worker_that_fails_costs_its_episode_alone():
    """Some of its episodes end its process, some raise an exception in it; the rows beside it go on."""
    lines, seed = [], 1
    with Envs(counter("sometimes"), NoOptions(), 2, seed, processes=True, report=lines.append) as envs:
        steps = run(envs, 14)
        failures = envs.failures
    dropped = []
    for before, step in itertools.pairwise(steps):
        for n in range(2):
            if step.first[n] and not (before.terminal[n] or before.truncated[n]):
                dropped.append((n, int(before.episode[n])))
                assert step.episode[n] == before.episode[n] + 1
                assert (step.reward[n], step.action[n].any(), step.obs[n, 1]) == (0, False, 0)
    over = [(n, e) for n in range(2) for e in range(int(steps[-1].episode[n]))]
    assert sorted(dropped) == [place for place in over if begins_with(seed, *place) in EXITS + RAISES]
    kinds = [begins_with(seed, *place) in EXITS for place in dropped]
    assert set(kinds) == {True, False}
    assert failures == len(lines)
    for (n, e), exits, line in zip(dropped, kinds, lines, strict=True):
        why = "its process died (exit code 3" if exits else "FloatingPointError: the physics blew up"
        assert line.startswith(f"environment {n} failed in episode {e}, which is dropped: {why}")


def test_failures_without_end_are_too_many():
    lines = []
    with Envs(counter("raise"), NoOptions(), 1, 0, report=lines.append) as envs:
        with pytest.raises(RuntimeError, match="failed 6 times and finished no episode"):
            run(envs, 40)
        assert envs.failures == PATIENCE + 1
    assert len(lines) == PATIENCE


def test_failures_between_which_episodes_end_are_survived(monkeypatch):
    """However many there are in a long run."""
    monkeypatch.setattr(environment_toys, "EXITS", ())
    with Envs(counter("sometimes"), NoOptions(), 1, 3, processes=False, report=lambda line: None) as envs:
        run(envs, 400)
    assert envs.failures > 2 * PATIENCE


def test_a_worker_that_dies_at_rest_costs_its_episode_alone():
    """While the model learns, say, when memory is short."""
    with Envs(counter(), NoOptions(), 2, 0, processes=True, report=lambda line: None) as envs:
        run(envs, 3)
        victim = envs._rows[1]._vector.processes[0]
        victim.kill()
        victim.join()
        step = run(envs, 1)[0]
        assert step.first.tolist() == [False, True]
        assert envs.failures == 1
        state = envs.state()
    with Envs(counter(), NoOptions(), 2, 0, processes=True, report=lambda line: None) as envs:
        victim = envs._rows[0]._vector.processes[0]
        victim.kill()
        victim.join()
        envs.restore(state)
        step = run(envs, 1)[0]
        assert step.first.tolist() == [True, False], "what cannot be gone on with begins anew"


def test_a_reset_that_fails_is_a_failure_too(monkeypatch):
    def reset(self, *, seed=None, options=None):
        raise ZeroDivisionError("nothing to reset")

    monkeypatch.setattr(Counter, "reset", reset)
    failing = pytest.raises(RuntimeError, match="ZeroDivisionError: nothing to reset")
    with Envs(counter(), NoOptions(), 1, 0, report=lambda line: None) as envs, failing:
        run(envs, 1)


def children():
    """Return the processes that this one has started, but for multiprocessing's own tracker."""
    found = psutil.Process().children(recursive=True)
    return [child for child in found if "resource_tracker" not in " ".join(child.cmdline())]


def test_closing_leaves_no_process_whatever_state_it_is_in():
    """At rest, dead, and in the middle of a step; and Ctrl-C, which a terminal sends to all, does not reach them."""
    before = len(children())
    envs = Envs(counter(), NoOptions(), 3, 0, processes=True)
    run(envs, 2)
    workers = children()
    assert len(workers) == before + 3
    for worker in workers:
        os.kill(worker.pid, signal.SIGINT)
    run(envs, 2)
    assert envs.failures == 0
    os.kill(workers[0].pid, signal.SIGKILL)
    envs._rows[1].step(np.int64(1))  # nobody receives it
    envs.close()
    deadline = time.monotonic() + 10
    while len(children()) > before and time.monotonic() < deadline:
        time.sleep(0.05)
    assert len(children()) == before
    assert not multiprocessing.active_children()
