"""Retry: once more for what fails for a moment, and never for what is our own fault."""

from collections.abc import Awaitable, Callable
from typing import TypeVar

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
    raise NotImplementedError("retry in service/patterns/retry.py")


def retry_after_seconds(header: str | None, now: float) -> float:
    """The seconds that a Retry-After header asks for: "120" is 120.0, and an HTTP-date counts from `now`.

    `now` is in seconds since 1970, like time.time(). A moment that is past is 0.0. So is no header, and one that makes no
    sense.
    """
    raise NotImplementedError("retry_after_seconds in service/patterns/retry.py")
