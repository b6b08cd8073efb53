"""Partial result: what has come in time is worth having, and what has not is named."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
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

    async def run(call: Callable[[], Awaitable[T]]) -> T:
        async with slots:
            return await call()

    tasks = [asyncio.ensure_future(run(call)) for call in calls]
    results: dict[int, T] = {}
    try:
        await asyncio.wait(map(_unless_missing, tasks), timeout=seconds, return_when=asyncio.FIRST_EXCEPTION)
        for number, task in enumerate(tasks):
            if task.done():
                try:
                    results[number] = task.result()
                except _MISSING:
                    pass
    finally:
        for task in tasks:
            task.cancel()
    return Partial(results, [number for number in range(len(tasks)) if number not in results])


_MISSING = (Unavailable, BreakerOpen, DeadlineExceeded)


def _unless_missing(task: asyncio.Future[T]) -> asyncio.Task[None]:
    """Ends when `task` does, and fails only where the fault is our own."""

    async def follow() -> None:
        try:
            await asyncio.shield(task)
        except _MISSING:
            pass

    return asyncio.create_task(follow())
