"""Exponential back-off: how long to wait before the next try, so that those who failed together do not return together."""

import random


def delay(attempt: int, rng: random.Random, base: float = 0.2, cap: float = 5.0) -> float:
    """Seconds to wait after the try number `attempt` (1, 2, …) has failed.

    It grows with the attempt: the longest wait is base * 2 ** (attempt - 1), and never more than `cap`, not even for
    attempt 1000. It is drawn from `rng`, anew each time, and evenly over at least the upper half of 0 to the longest wait.
    """
    try:
        longest = min(cap, base * 2.0 ** (attempt - 1))
    except OverflowError:
        longest = cap
    return longest / 2 + rng.random() * longest / 2
