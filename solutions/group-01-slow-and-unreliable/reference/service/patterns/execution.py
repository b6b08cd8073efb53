"""Sync vs async execution: what may run on the event loop, and what must not."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, TypeVar

T = TypeVar("T")


async def run_blocking(function: Callable[..., T], *args: Any) -> T:
    """Run `function(*args)`, which blocks or computes, without stopping the event loop.

    While it works, other tasks go on. Its result comes back, and so does its exception.
    """
    return await asyncio.to_thread(function, *args)


async def gather_bounded(calls: Iterable[Callable[[], Awaitable[T]]], limit: int) -> list[T]:
    """Run all `calls` (functions that return an awaitable), at most `limit` of them at once.

    The results are in the order of the calls. If one fails, its exception is raised at once. Then, and when the caller is
    cancelled, nothing is left running.
    """
    slots = asyncio.Semaphore(limit)

    async def run(call: Callable[[], Awaitable[T]]) -> T:
        async with slots:
            return await call()

    tasks = [asyncio.create_task(run(call)) for call in calls]
    try:
        return await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
