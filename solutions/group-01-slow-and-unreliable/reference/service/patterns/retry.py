"""Retry: once more for what fails for a moment, and never for what is our own fault."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from email.utils import parsedate_to_datetime
from typing import TypeVar

from service.patterns.backoff import delay
from service.patterns.timeout import Deadline

T = TypeVar("T")

_rng = random.Random()


class Unavailable(Exception):
    """Whom we called cannot answer now, and may in a moment.

    `retry_after`: for how many seconds it asks to be left alone; 0.0 if it did not say.
    """

    def __init__(self, message: str = "", retry_after: float = 0.0) -> None:
        super().__init__(message)
        self.retry_after = retry_after


async def retry(call: Callable[[], Awaitable[T]], deadline: Deadline, tries: int = 3) -> T:
    """Await `call()`; when it raises Unavailable, again, up to `tries` times in all and within the deadline.

    Before the next try it waits for the `delay` of backoff.py, or for the error's `retry_after` if that is longer. Where
    the tries are used up, or the deadline would be over when the wait is, the last Unavailable is raised without waiting.
    Any other exception passes at once. No try begins once the time is up: that is DeadlineExceeded.
    """
    attempt = 1
    while True:
        deadline.check()
        try:
            return await call()
        except Unavailable as error:
            wait = max(error.retry_after, delay(attempt, _rng))
            if attempt == tries or wait >= deadline.remaining():
                raise
        await asyncio.sleep(wait)
        attempt += 1


def retry_after_seconds(header: str | None, now: float) -> float:
    """The seconds that a Retry-After header asks for: "120" is 120.0, and an HTTP-date counts from `now`.

    `now` is in seconds since 1970, like time.time(). A moment that is past is 0.0. So is no header, and one that makes no
    sense.
    """
    if header is None:
        return 0.0
    if header.isdecimal():
        return float(header)
    try:
        return max(0.0, parsedate_to_datetime(header).timestamp() - now)
    except ValueError:
        return 0.0
