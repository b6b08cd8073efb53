"""Partial result: what has come in time is worth having, and what has not is named."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from typing import Generic, TypeVar

from service.patterns.circuit_breaker import BreakerOpen
from service.patterns.retry import Unavailable
from service.patterns.timeout import DeadlineExceeded

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
    slots = asyncio.Semaphore(limit)
    results: dict[int, T] = {}

    async def run(number: int, call: Callable[[], Awaitable[T]]) -> None:
        async with slots:
            with suppress(Unavailable, BreakerOpen, DeadlineExceeded):
                results[number] = await call()

    tasks = [asyncio.create_task(run(number, call)) for number, call in enumerate(calls)]
    try:
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
    missing = [number for number in range(len(tasks)) if number not in results]
    return Partial(dict(sorted(results.items())), missing)
