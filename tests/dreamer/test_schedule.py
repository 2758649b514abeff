"""What is owed when: against counting one by one."""

from fractions import Fraction

import numpy as np
import pytest

from longdream.dreamer.schedule import crossed, updates_due


@pytest.mark.parametrize("envs", [1, 3, 8])
@pytest.mark.parametrize(("ratio", "batch"), [(1, 4096), (64, 4096), (1024, 4096), (7, 30), (333, 32)])
def test_updates_pay_for_every_step_after_the_prefill(envs, ratio, batch):
    debt, made = Fraction(0), 0
    for step in range(envs, 4000, envs):
        for one in range(step - envs + 1, step + 1):
            debt += Fraction(ratio, batch) if one > 100 else 0
        while debt >= 1:
            debt -= 1
            made += 1
        assert updates_due(step, 100, ratio, batch) == made


def test_crossed_is_a_multiple_on_the_way():
    rng = np.random.default_rng(0)
    for _ in range(300):
        before, gain, every = (int(x) for x in rng.integers((0, 1, 1), (50, 9, 12)))
        brute = any(step % every == 0 for step in range(before + 1, before + gain + 1))
        assert crossed(before, before + gain, every) == brute
