"""Retry: once more for what fails for a moment, and never for what is our own fault."""

import random
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TypeVar

from tenacity import AsyncRetrying, RetryCallState, retry_if_exception_type, stop_after_attempt

from service.patterns.backoff import delay
from service.patterns.timeout import Deadline

T = TypeVar("T")


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

    def no_time_left(state: RetryCallState) -> bool:
        return state.upcoming_sleep >= deadline.remaining()

    deadline.check()
    policy = AsyncRetrying(
        retry=retry_if_exception_type(Unavailable),
        wait=_wait,
        stop=stop_after_attempt(tries) | no_time_left,
        reraise=True,
    )

    async def attempt() -> T:  # tenacity awaits coroutine functions only
        return await call()

    return await policy(attempt)


def _wait(state: RetryCallState) -> float:
    error = state.outcome.exception()
    return max(error.retry_after, delay(state.attempt_number, random))


def retry_after_seconds(header: str | None, now: float) -> float:
    """The seconds that a Retry-After header asks for: "120" is 120.0, and an HTTP-date counts from `now`.

    `now` is in seconds since 1970, like time.time(). A moment that is past is 0.0. So is no header, and one that makes no
    sense.
    """
    try:
        return max(0.0, float(header))
    except (TypeError, ValueError):
        pass
    try:
        moment = parsedate_to_datetime(header)
    except (TypeError, ValueError):
        return 0.0
    return max(0.0, (moment - datetime.fromtimestamp(now, UTC)).total_seconds())
