"""The order of jobs, and when they end."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from longdream.experiments.schedule import Deadline, Job, Schedule


def run(jobs, at_once=1, look=lambda running: False):
    failures = {}
    with ThreadPoolExecutor(at_once) as pool:
        Schedule(jobs, pool, at_once, failures.__setitem__).run(look)
    return failures


def test_the_first_in_the_list_comes_first():
    done = []
    assert run([Job(str(n), lambda n=n: done.append(n)) for n in (3, 1, 2)]) == {}
    assert done == [3, 1, 2]


def test_jobs_of_one_name_wait_for_each_other_and_others_go_ahead():
    """The second job of `a` may not begin while the first is at work, so `b` takes the free thread."""
    order, first_done = [], threading.Event()

    def slow():
        assert first_done.wait(10)
        order.append("a1")

    def other():
        order.append("b")
        first_done.set()

    run([Job("a", slow), Job("a", lambda: order.append("a2")), Job("b", other)], at_once=2)
    assert order == ["b", "a1", "a2"]


def test_what_fails_takes_the_rest_of_its_name_along_and_no_other():
    done = []

    def broken():
        raise ValueError("no")

    jobs = [Job("a", broken), Job("b", lambda: done.append("b")), Job("a", lambda: done.append("a"))]
    failures = run(jobs)
    assert [str(error) for error in failures.values()] == ["no"]
    assert list(failures) == ["a"]
    assert done == ["b"]


def test_once_told_to_end_nothing_begins():
    done = []
    run([Job(str(n), lambda n=n: done.append(n)) for n in range(5)], look=lambda running: len(done) >= 2)
    assert done == [0, 1]


def test_a_deadline():
    assert Deadline().minutes_left is None
    assert not Deadline().over
    later = Deadline(5)
    assert later.minutes_left == pytest.approx(5, abs=0.1)
    assert not later.over
    soon = Deadline(1e-4)
    time.sleep(0.01)
    assert soon.over
    assert soon.minutes_left == 0
