"""Singleton: one for the whole process. For configuration and for locks, and for nothing that belongs to a request."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any, Generic, TypeVar
from weakref import WeakValueDictionary

T = TypeVar("T")

_NOTHING: Any = object()


class Once(Generic[T]):
    """One thing for the whole process: made by `make()` when somebody first asks for it, and kept."""

    def __init__(self, make: Callable[[], T]) -> None:
        self._make = make
        self._lock = threading.Lock()
        self._made: T = _NOTHING
        self._instead: T = _NOTHING

    def get(self) -> T:
        """The thing. However many threads ask at once, one of them makes it, and the others wait for that.

        If `make()` raises, so does this, and nothing is kept: who asks next tries again.
        """
        if self._instead is not _NOTHING:
            return self._instead
        if self._made is _NOTHING:
            with self._lock:
                if self._made is _NOTHING:  # still: somebody may have made it while we waited
                    self._made = self._make()
        return self._made

    @contextmanager
    def override(self, value: T) -> Iterator[None]:
        """For tests: inside `with once.override(value):`, everybody gets `value`, and nothing is made.

        Afterwards all is as it was before, also when the block raises. None is a value like any other.
        """
        before, self._instead = self._instead, value
        try:
            yield
        finally:
            self._instead = before


_locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()  # each lives as long as somebody needs it


@asynccontextmanager
async def lock_for(name: str) -> AsyncIterator[None]:
    """`async with lock_for(name):` one at a time for each name, on this event loop; other names do not wait.

    It is free again however the block ends, also if who waits for it is cancelled. A lock that nobody holds or waits for
    is forgotten, and its name with it: there may be millions of names.
    """
    lock = _locks.setdefault(name, asyncio.Lock())
    async with lock:
        yield
