"""Request deduplication: who asks for what is being made already waits for it, and does not have it made again."""

from collections.abc import Awaitable, Callable
from typing import TypeVar

T = TypeVar("T")


async def coalesce(fingerprint: str, work: Callable[[], Awaitable[T]]) -> T:
    """The result of `work()`, or its exception: made once for all who ask for this fingerprint while it is under way.

    Nothing is remembered: who asks when it has ended has it made anew, and a failure goes to those who waited and to
    nobody else. Who is cancelled goes alone, even if he was the first: the others get what they wait for. Other
    fingerprints are other work, at the same time.
    """
    raise NotImplementedError("coalesce in service/patterns/request_deduplication.py")
