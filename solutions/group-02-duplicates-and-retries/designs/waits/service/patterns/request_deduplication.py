"""Request deduplication: who asks for what is being made already waits for it, and does not have it made again."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

T = TypeVar("T")


class _Flight:
    """Work under way, and how many wait for it."""

    def __init__(self, work: Callable[[], Awaitable[Any]]) -> None:
        self.waiting = 0
        self.task = asyncio.ensure_future(work())


_flights: dict[str, _Flight] = {}


async def coalesce(fingerprint: str, work: Callable[[], Awaitable[T]]) -> T:
    """The result of `work()`, or its exception: made once for all who ask for this fingerprint while it is under way.

    Nothing is remembered: who asks when it has ended has it made anew, and a failure goes to those who waited and to
    nobody else. Who is cancelled goes alone, even if he was the first: the others get what they wait for. Other
    fingerprints are other work, at the same time.
    """
    flight = _flights.get(fingerprint)
    if flight is None or flight.task.done():
        flight = _flights[fingerprint] = _Flight(work)
    flight.waiting += 1
    try:
        await asyncio.wait({flight.task})
    finally:
        flight.waiting -= 1
        if not flight.waiting:  # the last one out
            flight.task.cancel()  # no effect when it is done; else nobody wants it any more
            if _flights.get(fingerprint) is flight:
                del _flights[fingerprint]
    return flight.task.result()
