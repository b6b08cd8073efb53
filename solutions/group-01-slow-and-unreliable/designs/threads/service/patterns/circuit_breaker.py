"""Circuit breaker: who does not answer is left in peace for a while, and then asked by one alone."""

import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from service.patterns.retry import Unavailable

T = TypeVar("T")


class BreakerOpen(Exception):
    """The call was not made: whom it is for has failed too often of late."""


class CircuitBreaker:
    """Stands before one dependency, and lets calls to it through, or not.

    closed     Every call passes. Of those that ended in the last `window` seconds, once there are `minimum` or more, and
               the share `failures` of them or more failed, the breaker opens.
    open       No call passes, for `cooldown` seconds: BreakerOpen.
    half-open  After that, `probes` calls may be under way at once, and all others are refused. One that succeeds closes the
               breaker, which then begins with a clean sheet; one that fails opens it for another `cooldown`.

    A call fails when it raises Unavailable. Any other exception is an answer: it does not count as a failure. A call that
    is cancelled counts for nothing, and its place is free again. A call from before it opened changes nothing any more.
    Somebody who sets the machine's clock does not move it.
    """

    def __init__(
        self,
        failures: float = 0.5,
        minimum: int = 10,
        window: float = 10.0,
        cooldown: float = 5.0,
        probes: int = 1,
    ) -> None:
        self.failures, self.minimum, self.window = failures, minimum, window
        self.cooldown, self.probes = cooldown, probes
        self._lock = threading.Lock()
        self._ended: list[tuple[float, bool]] = []  # when, and did it fail?
        self._closed = True
        self._looks_again = 0.0  # when, if it is not closed
        self._probing = 0

    async def call(self, function: Callable[[], Awaitable[T]]) -> T:
        """Await `function()`, and return or raise what it does; or raise BreakerOpen, without calling it."""
        with self.guard():
            return await function()

    @contextmanager
    def guard(self) -> Iterator[None]:
        """What happens inside is a call. For coroutines and threads alike."""
        with self._lock:
            probe = not self._closed
            if probe and (time.monotonic() < self._looks_again or self._probing == self.probes):
                raise BreakerOpen
            self._probing += probe
        failed: bool | None = None
        try:
            yield
            failed = False
        except Exception as error:
            failed = isinstance(error, Unavailable)
            raise
        finally:
            with self._lock:
                self._probing -= probe
                if failed is not None and probe:
                    self._turn(closed=not failed)
                elif failed is not None and self._closed:
                    self._count(failed)

    def _count(self, failed: bool) -> None:
        now = time.monotonic()
        self._ended = [each for each in self._ended if each[0] >= now - self.window] + [(now, failed)]
        share = sum(bad for _, bad in self._ended) / len(self._ended)
        if len(self._ended) >= self.minimum and share >= self.failures:
            self._turn(closed=False)

    def _turn(self, *, closed: bool) -> None:
        self._closed, self._looks_again, self._ended = closed, time.monotonic() + self.cooldown, []
