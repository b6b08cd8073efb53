"""The shortest history that still fails: parts are left out as long as the same thing goes wrong without them.

Delta debugging (Zeller and Hildebrandt, “Simplifying and isolating failure-inducing input”, IEEE TSE 28, 2002), within
a bounded number of runs. What a part is says `sim/history.py`; how it is run again, whoever calls.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

MOST_RUNS = 40


class _Enough(Exception):
    pass


def needless(
    kinds: Sequence[Sequence[str]], fails: Callable[[frozenset[str]], bool], *, most: int = MOST_RUNS
) -> frozenset[str]:
    """The parts without which it still fails: as many as at most `most` runs find.

    `kinds`: the parts that may be left out, those that say least first. `fails(parts)`: does the same thing still go
    wrong without these parts?
    """
    gone: frozenset[str] = frozenset()
    left = most

    def without(more: Sequence[str]) -> bool:
        nonlocal gone, left
        if not left:
            raise _Enough
        left -= 1
        tried = gone.union(more)
        if fails(tried):
            gone = tried
            return True
        return False

    try:
        for parts in kinds:
            _thin_out(list(parts), without)
    except _Enough:
        pass
    return gone


def _thin_out(parts: list[str], without: Callable[[Sequence[str]], bool]) -> None:
    """First all, then halves, quarters …: a chunk that is not needed goes, and the next is tried."""
    size = len(parts)
    while parts and size:
        at = 0
        while at < len(parts):
            chunk = parts[at : at + size]
            if without(chunk):
                del parts[at : at + size]
            else:
                at += size
        size = min(size, len(parts)) // 2
