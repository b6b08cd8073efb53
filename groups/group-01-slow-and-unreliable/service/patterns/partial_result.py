"""Partial result: what has come in time is worth having, and what has not is named."""

from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import Generic, TypeVar

T = TypeVar("T")


@dataclass(frozen=True)
class Partial(Generic[T]):
    """What became of calls that are numbered 0, 1, 2, … in the order in which they were given."""

    results: dict[int, T]  # of those that came, by number, in the order of the numbers
    missing: list[int]  # the numbers of the others, in order


async def gather_partial(calls: Iterable[Callable[[], Awaitable[T]]], limit: int, seconds: float) -> Partial[T]:
    """Run all `calls` (functions that return an awaitable), at most `limit` of them at once, for `seconds` at most.

    A call is missing if it raised Unavailable, BreakerOpen or DeadlineExceeded, or was not done in time: then it is
    cancelled. Any other exception is a fault of our own: it is raised. In each case, and when the caller is cancelled,
    nothing is left running.
    """
    raise NotImplementedError("gather_partial in service/patterns/partial_result.py")
