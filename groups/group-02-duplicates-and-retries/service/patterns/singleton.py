"""Singleton: one for the whole process. For configuration and for locks, and for nothing that belongs to a request."""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from typing import Generic, TypeVar

T = TypeVar("T")


class Once(Generic[T]):
    """One thing for the whole process: made by `make()` when somebody first asks for it, and kept."""

    def __init__(self, make: Callable[[], T]) -> None:
        raise NotImplementedError("Once in service/patterns/singleton.py")

    def get(self) -> T:
        """The thing. However many threads ask at once, one of them makes it, and the others wait for that.

        If `make()` raises, so does this, and nothing is kept: who asks next tries again.
        """
        raise NotImplementedError("Once.get in service/patterns/singleton.py")

    def override(self, value: T) -> AbstractContextManager[None]:
        """For tests: inside `with once.override(value):`, everybody gets `value`, and nothing is made.

        Afterwards all is as it was before, also when the block raises. None is a value like any other.
        """
        raise NotImplementedError("Once.override in service/patterns/singleton.py")


def lock_for(name: str) -> AbstractAsyncContextManager[None]:
    """`async with lock_for(name):` one at a time for each name, on this event loop; other names do not wait.

    It is free again however the block ends, also if who waits for it is cancelled. A lock that nobody holds or waits for
    is forgotten, and its name with it: there may be millions of names.
    """
    raise NotImplementedError("lock_for in service/patterns/singleton.py")
