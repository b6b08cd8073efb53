"""Circuit breaker: who does not answer is left in peace for a while, and then asked by one alone."""

import time
from collections.abc import Awaitable, Callable
from typing import Protocol, TypeVar

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
        self.state: State = Closed(self)

    async def call(self, function: Callable[[], Awaitable[T]]) -> T:
        """Await `function()`, and return or raise what it does; or raise BreakerOpen, without calling it."""
        state = self.state.enter()
        try:
            result = await function()
        except Unavailable:
            state.leave(failed=True)
            raise
        except Exception:
            state.leave(failed=False)
            raise
        except BaseException:
            state.leave(failed=None)
            raise
        state.leave(failed=False)
        return result


class State(Protocol):
    """A state tells where a call enters, and hears how it ended: None if it was cancelled."""

    def enter(self) -> "State": ...

    def leave(self, *, failed: bool | None) -> None: ...


class Closed:
    def __init__(self, breaker: CircuitBreaker) -> None:
        self.breaker = breaker
        self.ended: list[tuple[float, bool]] = []

    def enter(self) -> State:
        return self

    def leave(self, *, failed: bool | None) -> None:
        if failed is None or self.breaker.state is not self:
            return
        now = time.monotonic()
        self.ended = [(at, bad) for at, bad in self.ended if at >= now - self.breaker.window] + [(now, failed)]
        share = sum(bad for _, bad in self.ended) / len(self.ended)
        if len(self.ended) >= self.breaker.minimum and share >= self.breaker.failures:
            self.breaker.state = Open(self.breaker)


class Open:
    def __init__(self, breaker: CircuitBreaker) -> None:
        self.breaker = breaker
        self.until = time.monotonic() + breaker.cooldown

    def enter(self) -> State:
        if time.monotonic() < self.until:
            raise BreakerOpen
        self.breaker.state = HalfOpen(self.breaker)
        return self.breaker.state.enter()

    def leave(self, *, failed: bool | None) -> None:
        """Nobody has entered here."""


class HalfOpen:
    def __init__(self, breaker: CircuitBreaker) -> None:
        self.breaker = breaker
        self.places = breaker.probes

    def enter(self) -> State:
        if not self.places:
            raise BreakerOpen
        self.places -= 1
        return self

    def leave(self, *, failed: bool | None) -> None:
        self.places += 1
        if failed is not None and self.breaker.state is self:
            self.breaker.state = Open(self.breaker) if failed else Closed(self.breaker)
