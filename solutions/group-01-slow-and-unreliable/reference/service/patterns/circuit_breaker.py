"""Circuit breaker: who does not answer is left in peace for a while, and then asked by one alone."""

import time
from collections import deque
from collections.abc import Awaitable, Callable
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
        self.failures = failures
        self.minimum = minimum
        self.window = window
        self.cooldown = cooldown
        self.probes = probes
        self._ended: deque[tuple[float, bool]] = deque()  # when, and did it fail?
        self._opened: float | None = None  # None: closed
        self._probing = 0

    async def call(self, function: Callable[[], Awaitable[T]]) -> T:
        """Await `function()`, and return or raise what it does; or raise BreakerOpen, without calling it."""
        if self._opened is None:
            return await self._guard(function, self._count)
        if time.monotonic() < self._opened + self.cooldown or self._probing >= self.probes:
            raise BreakerOpen
        self._probing += 1
        try:
            return await self._guard(function, self._decide)
        finally:
            self._probing -= 1

    async def _guard(self, function: Callable[[], Awaitable[T]], tell: Callable[[bool], None]) -> T:
        """Await `function()`, and `tell` whether it failed, unless it was cancelled."""
        try:
            result = await function()
        except Unavailable:
            tell(True)
            raise
        except Exception:
            tell(False)
            raise
        tell(False)
        return result

    def _count(self, failed: bool) -> None:
        """An ordinary call has ended."""
        if self._opened is not None:
            return
        now = time.monotonic()
        self._ended.append((now, failed))
        while self._ended[0][0] < now - self.window:
            self._ended.popleft()
        failures = sum(failed for _, failed in self._ended)
        if len(self._ended) >= self.minimum and failures >= self.failures * len(self._ended):
            self._opened = now

    def _decide(self, failed: bool) -> None:
        """A probe has ended."""
        self._opened = time.monotonic() if failed else None
        self._ended.clear()
