"""Oracle: the longest phases of Multi Doors Keys over ALL orders, by exact dynamic programming.

Written from the rules alone, without the policy's code. The agent walks along the corridor's middle row; columns are 4
cells apart; a key is 2 steps away (and a pick-up, in the query), a door 1 step and a toggle; from both it turns around
and walks back, except from a phase's last door, where it stays.
"""

from functools import lru_cache

RIGHT, DOWN, LEFT, UP = range(4)
SPACING = 4
TURN_BACK = 2


def turns(heading: int, wanted: int) -> int:
    """Return the number of turns from one heading to another."""
    return min((wanted - heading) % 4, (heading - wanted) % 4)


def approach(column: int, heading: int, target: int, wanted: int) -> int:
    """Return the actions from (column, heading) to (target, wanted) along the middle row."""
    cost = 0
    if target != column:
        sideways = RIGHT if target > column else LEFT
        cost, heading = turns(heading, sideways) + SPACING * abs(target - column), sideways
    return cost + turns(heading, wanted)


def longest_context(keys: int) -> int:
    """Return the longest context in actions: every key looked at, then every door tried."""

    @lru_cache(None)
    def longest(column: int, heading: int, seen: int, tried: int) -> int:
        looking = seen.bit_count() < keys
        done = seen if looking else tried
        best = 0
        for target in (i for i in range(keys) if not done >> i & 1):
            if looking:
                cost = approach(column, heading, target, DOWN) + 2 + TURN_BACK + 2
                best = max(best, cost + longest(target, UP, seen | 1 << target, tried))
            else:
                cost = approach(column, heading, target, UP) + 1 + 1
                last = tried.bit_count() == keys - 1
                rest = 0 if last else TURN_BACK + 1 + longest(target, DOWN, seen, tried | 1 << target)
                best = max(best, cost + rest)
        return best

    return longest(keys // 2, RIGHT, 0, 0)


def longest_query(keys: int) -> int:
    """Return the longest query in actions: each key with two distinct doors after it, then every door."""

    @lru_cache(None)
    def longest(column: int, heading: int, taken: int, tries: int, previous: int, tried: int) -> int:
        best = 0
        if tries == 0 and taken.bit_count() < keys:
            for target in (i for i in range(keys) if not taken >> i & 1):
                cost = approach(column, heading, target, DOWN) + 2 + 1 + TURN_BACK + 2
                best = max(best, cost + longest(target, UP, taken | 1 << target, 2, -1, 0))
            return best
        for target in (i for i in range(keys) if i != previous and not tried >> i & 1):
            cost = approach(column, heading, target, UP) + 1 + 1
            now_tried = tried if tries else tried | 1 << target
            last = now_tried.bit_count() == keys
            left, before = (tries - 1, target) if tries == 2 else (0, -1)
            rest = 0 if last else TURN_BACK + 1 + longest(target, DOWN, taken, left, before, now_tried)
            best = max(best, cost + rest)
        return best

    leave_the_last_door = TURN_BACK + 1
    return leave_the_last_door + max(longest(column, DOWN, 0, 0, -1, 0) for column in range(keys))
