"""The budget of what is being done now: set once, at the door, and known to everything below without being passed on."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from contextvars import ContextVar

from service.patterns.timeout import Deadline, DeadlineExceeded

_budget: ContextVar[Deadline] = ContextVar("budget")


def budget() -> Deadline:
    return _budget.get()


@asynccontextmanager
async def within(seconds: float) -> AsyncIterator[None]:
    """Nothing inside takes longer. A library's own time limit is none: it is looked at between tries only."""
    token = _budget.set(Deadline(seconds))
    try:
        async with asyncio.timeout(seconds):
            yield
    except TimeoutError:
        raise DeadlineExceeded from None
    finally:
        _budget.reset(token)
