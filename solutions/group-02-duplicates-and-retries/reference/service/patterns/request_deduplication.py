"""Request deduplication: who asks for what is being made already waits for it, and does not have it made again."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

T = TypeVar("T")

_under_way: dict[str, asyncio.Future[Any]] = {}


async def coalesce(fingerprint: str, work: Callable[[], Awaitable[T]]) -> T:
    """The result of `work()`, or its exception: made once for all who ask for this fingerprint while it is under way.

    Nothing is remembered: who asks when it has ended has it made anew, and a failure goes to those who waited and to
    nobody else. Who is cancelled goes alone, even if he was the first: the others get what they wait for. Other
    fingerprints are other work, at the same time.
    """
    task = _under_way.get(fingerprint)
    if task is None:
        task = _under_way[fingerprint] = asyncio.ensure_future(work())  # nobody's own: nobody takes it with him
        task.add_done_callback(lambda _: _under_way.pop(fingerprint))
    return await asyncio.shield(task)
