"""What tests of environments share."""

import dataclasses

import numpy as np


def differences(one, other):
    """Return the names of the arrays in which two episodes differ, by type, shape or content."""
    found = []
    for name, left, right in pairs(one, other):
        left, right = np.asarray(left), np.asarray(right)
        if left.dtype != right.dtype or left.shape != right.shape or not np.array_equal(left, right):
            found.append(name)
    return found


def pairs(one, other):
    """Yield (name, array, array) of everything that two episodes hold."""
    for field in dataclasses.fields(one):
        if field.name != "extras":
            yield field.name, getattr(one, field.name), getattr(other, field.name)
    assert one.extras.keys() == other.extras.keys()
    for name in one.extras:
        yield name, one.extras[name], other.extras[name]


def taken(episode):
    """Return the actions of an episode as numbers, (T - 1): [t] is taken AT observation t."""
    return episode.action[1:].argmax(-1)
