"""Singleton: one for the whole process. For configuration and for locks, and for nothing that belongs to a request."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any, Generic, TypeVar

T = TypeVar("T")


class Once(Generic[T]):
    """One thing for the whole process: made by `make()` when somebody first asks for it, and kept."""

    def __init__(self, make: Callable[[], T]) -> None:
        self._make = make
        self._lock = threading.Lock()
        self._made: list[T] = []  # one, or none
        self._overrides: list[T] = []

    def get(self) -> T:
        """The thing. However many threads ask at once, one of them makes it, and the others wait for that.

        If `make()` raises, so does this, and nothing is kept: who asks next tries again.
        """
        if self._overrides:
            return self._overrides[-1]
        with self._lock:
            if not self._made:
                self._made.append(self._make())
            return self._made[0]

    @contextmanager
    def override(self, value: T) -> Iterator[None]:
        """For tests: inside `with once.override(value):`, everybody gets `value`, and nothing is made.

        Afterwards all is as it was before, also when the block raises. None is a value like any other.
        """
        self._overrides.append(value)
        try:
            yield
        finally:
            self._overrides.pop()


_locks: dict[str, list[Any]] = {}  # a lock, and how many need it


@asynccontextmanager
async def lock_for(name: str) -> AsyncIterator[None]:
    """`async with lock_for(name):` one at a time for each name, on this event loop; other names do not wait.

    It is free again however the block ends, also if who waits for it is cancelled. A lock that nobody holds or waits for
    is forgotten, and its name with it: there may be millions of names.
    """
    entry = _locks.setdefault(name, [asyncio.Lock(), 0])
    entry[1] += 1
    try:
        async with entry[0]:
            yield
    finally:
        entry[1] -= 1
        if not entry[1]:
            del _locks[name]
