"""Sync vs async execution: what may run on the event loop, and what must not."""

from collections.abc import Awaitable, Callable, Iterable
from typing import Any, TypeVar

import anyio
import anyio.to_thread

T = TypeVar("T")


async def run_blocking(function: Callable[..., T], *args: Any) -> T:
    """Run `function(*args)`, which blocks or computes, without stopping the event loop.

    While it works, other tasks go on. Its result comes back, and so does its exception.
    """
    return await anyio.to_thread.run_sync(function, *args)


async def gather_bounded(calls: Iterable[Callable[[], Awaitable[T]]], limit: int) -> list[T]:
    """Run all `calls` (functions that return an awaitable), at most `limit` of them at once.

    The results are in the order of the calls. If one fails, its exception is raised at once. Then, and when the caller is
    cancelled, nothing is left running.
    """
    slots = anyio.CapacityLimiter(limit)
    results: dict[int, T] = {}

    async def run(number: int, call: Callable[[], Awaitable[T]]) -> None:
        async with slots:
            results[number] = await call()

    try:
        async with anyio.create_task_group() as group:
            for number, call in enumerate(calls):
                group.start_soon(run, number, call)
    except ExceptionGroup as failures:
        raise failures.exceptions[0] from None
    return [results[number] for number in sorted(results)]
