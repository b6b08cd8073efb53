"""Threads, locks and queues in virtual time: what blocks parks in the kernel instead.

`_thread`'s lock, RLock, thread start and join, and SimpleQueue are replaced; all that stands on them follows
(`threading`, `queue`, `concurrent.futures`, anyio, Timer). This touches private names of CPython, so it looks for
features, not versions, and refuses to start where it does not find what it knows.
"""

from __future__ import annotations

import _thread
import itertools
import queue
import threading
from collections import deque
from collections.abc import Callable
from typing import Any

from grader.host.kernel import Waiter, kernel

_get_ident = _thread.get_ident
_serial = itertools.count(1)  # executors keep sets of threads: they hash by age, not by address


class ThreadsNotUnderstood(RuntimeError):
    """This interpreter starts or joins threads in a way that the simulation does not know."""


class Lock:
    """threading.Lock, whose wait is virtual. Handed over in the order of arrival."""

    __slots__ = ("__weakref__", "_locked", "_waiters")

    def __init__(self) -> None:
        self._locked = False
        self._waiters: deque[Waiter] = deque()

    def acquire(self, blocking: bool = True, timeout: float = -1) -> bool:
        if not blocking and timeout != -1:
            raise ValueError("can't specify a timeout for a non-blocking call")
        if timeout < 0 and timeout != -1:
            raise ValueError("timeout value must be a non-negative number")
        if not self._locked:
            self._locked = True
            return True
        if not blocking or timeout == 0:
            return False
        waiter = kernel.waiter(None if timeout == -1 else timeout, "a lock")
        self._waiters.append(waiter)
        return kernel.park(waiter)

    def release(self) -> None:
        if not self._locked:
            raise RuntimeError("release unlocked lock")
        while self._waiters:
            if kernel.wake(self._waiters.popleft()):
                return  # handed over: it stays locked
        self._locked = False

    def locked(self) -> bool:
        return self._locked

    def _at_fork_reinit(self) -> None:
        self._locked = False
        self._waiters.clear()

    def __enter__(self) -> bool:
        return self.acquire()

    def __exit__(self, *exc: object) -> None:
        self.release()

    def __repr__(self) -> str:
        return f"<{'locked' if self._locked else 'unlocked'} lock at {id(self):#x}>"

    acquire_lock, release_lock, locked_lock = acquire, release, locked


class RLock:
    """threading.RLock on the virtual Lock."""

    __slots__ = ("__weakref__", "_block", "_count", "_owner")

    def __init__(self) -> None:
        self._block = Lock()
        self._owner: int | None = None
        self._count = 0

    def acquire(self, blocking: bool = True, timeout: float = -1) -> bool:
        me = _get_ident()
        if self._owner == me:
            self._count += 1
            return True
        if self._block.acquire(blocking, timeout):
            self._owner, self._count = me, 1
            return True
        return False

    def release(self) -> None:
        if self._owner != _get_ident():
            raise RuntimeError("cannot release un-acquired lock")
        self._count -= 1
        if not self._count:
            self._owner = None
            self._block.release()

    def locked(self) -> bool:
        return self._block.locked()

    def __enter__(self) -> bool:
        return self.acquire()

    def __exit__(self, *exc: object) -> None:
        self.release()

    # what threading.Condition asks of a lock
    def _is_owned(self) -> bool:
        return self._owner == _get_ident()

    def _release_save(self) -> tuple[int, int | None]:
        if not self._count:
            raise RuntimeError("cannot release un-acquired lock")
        state = (self._count, self._owner)
        self._count, self._owner = 0, None
        self._block.release()
        return state

    def _acquire_restore(self, state: tuple[int, int | None]) -> None:
        self._block.acquire()
        self._count, self._owner = state

    def _recursion_count(self) -> int:
        return self._count if self._owner == _get_ident() else 0

    def _at_fork_reinit(self) -> None:
        self._block._at_fork_reinit()
        self._owner, self._count = None, 0


class _Handle:
    """What joining a thread waits on (`_thread._ThreadHandle` of CPython 3.13 and later)."""

    def __init__(self) -> None:
        self.ident: int | None = None
        self._running = Lock()
        self._running.acquire()

    def join(self, timeout: float | None = None) -> None:
        if self._running.acquire(timeout=-1 if timeout is None or timeout < 0 else timeout):
            self._running.release()

    def is_done(self) -> bool:
        return not self._running.locked()

    def _set_done(self) -> None:
        if self._running.locked():
            self._running.release()


def _start_joinable_thread(function: Callable[[], object], *, handle: _Handle | None = None, **_: Any) -> _Handle:
    done = handle or _Handle()

    def body() -> None:
        try:
            function()
        finally:
            done._set_done()

    done.ident = kernel.start_thread(body)
    return done


_sentinels: dict[int, Lock] = {}


def _set_sentinel() -> Lock:
    """The lock that CPython 3.11 and 3.12 release when the current thread ends."""
    lock = _sentinels[_get_ident()] = Lock()
    return lock


def _start_new_thread(
    function: Callable[..., object], args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
) -> int:
    def body() -> None:
        try:
            function(*args, **(kwargs or {}))
        except SystemExit:
            pass
        finally:
            sentinel = _sentinels.pop(_get_ident(), None)
            if sentinel is not None and sentinel.locked():
                sentinel.release()

    return kernel.start_thread(body)


def install() -> None:
    """Make threads virtual in this process. Before the libraries whose locks are to be virtual are imported."""
    module: Any = threading
    raw: Any = _thread
    if hasattr(module, "_start_joinable_thread") and hasattr(module, "_ThreadHandle"):
        module._start_joinable_thread = raw.start_joinable_thread = _start_joinable_thread
        module._ThreadHandle = raw._ThreadHandle = _Handle
    elif hasattr(module, "_set_sentinel") and hasattr(module, "_start_new_thread"):
        module._set_sentinel = raw._set_sentinel = _set_sentinel
        module._start_new_thread = _start_new_thread
    else:
        import sys

        raise ThreadsNotUnderstood(f"threads of Python {sys.version.split()[0]} are not understood; use 3.11 to 3.14")
    raw.allocate_lock = raw.allocate = module._allocate_lock = module.Lock = Lock
    raw.start_new_thread = raw.start_new = _start_new_thread
    raw.RLock = module.RLock = module._PyRLock = RLock
    module._CRLock = RLock
    simple: Any = queue
    simple.SimpleQueue = simple._PySimpleQueue
    module.Thread.__hash__ = lambda self: self.__dict__.setdefault("_serial", next(_serial))
    # made before the locks were virtual, and held while a thread starts or ends
    module._active_limbo_lock = RLock()
    if hasattr(module, "_shutdown_locks_lock"):
        module._shutdown_locks_lock = Lock()
