"""Circuit breaker: who does not answer is left in peace for a while, and then asked by one alone."""

from collections.abc import Awaitable, Callable
from typing import TypeVar

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
        raise NotImplementedError("CircuitBreaker in service/patterns/circuit_breaker.py")

    async def call(self, function: Callable[[], Awaitable[T]]) -> T:
        """Await `function()`, and return or raise what it does; or raise BreakerOpen, without calling it."""
        raise NotImplementedError("CircuitBreaker.call in service/patterns/circuit_breaker.py")
