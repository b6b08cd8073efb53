"""asyncio in virtual time: where a loop would wait for real time to pass, it asks the kernel what happens next.

Every loop of a host is one of these: the service's, on the main thread, and those that `asyncio.run` makes in threads.
Tasks that are ready at one instant run in an order that the seed picks, since FIFO hides races; plain callbacks keep
the order that asyncio promises.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextvars
import itertools
import math
import queue
import selectors
import sys
import warnings
from asyncio import unix_events
from collections import deque
from collections.abc import Coroutine
from typing import Any

from grader.host import where
from grader.host.kernel import kernel

_serial = itertools.count(1)


class Future(asyncio.Future):  # type: ignore[type-arg]
    """Hashes by age, not by address, so that sets of futures have one order a seed."""

    def __init__(self, **kwargs: Any) -> None:
        self._serial = next(_serial)
        super().__init__(**kwargs)

    def __hash__(self) -> int:
        return self._serial


class Task(asyncio.Task):  # type: ignore[type-arg]
    """Hashes by age, as Future does: `asyncio.wait` returns sets of these."""

    def __init__(self, coro: Coroutine[Any, Any, Any], **kwargs: Any) -> None:
        self._serial = next(_serial)
        super().__init__(coro, **kwargs)

    def __hash__(self) -> int:
        return self._serial


def _make_task(loop: asyncio.AbstractEventLoop, coro: Any, **kwargs: Any) -> Task:
    code = getattr(coro, "cr_code", None)
    if code is not None and not where.is_learners(code) and kwargs.get("context") is None:
        places = where.of_frame(sys._getframe(1))
        if places:  # a library's task, begun by a line of the learner's that its own stack will not show
            kwargs["context"] = contextvars.copy_context()
            kwargs["context"].run(where.origin.set, lambda: places)
    return Task(coro, loop=loop, **kwargs)


class _Ready(deque[Any]):
    """The loop's queue of what can run now."""

    def popleft(self) -> Any:
        if len(self) > 1 and kernel.shuffles and isinstance(getattr(self[0]._callback, "__self__", None), asyncio.Task):
            other = kernel.rng.randrange(len(self))
            if other and isinstance(getattr(self[other]._callback, "__self__", None), asyncio.Task):
                self[0], self[other] = self[other], self[0]
        return super().popleft()


class _Selector(selectors._BaseSelectorImpl):
    """Selects nothing: there are no real descriptors. Its wait is the kernel's."""

    loop: Loop

    def register(self, *_: Any) -> Any:
        raise RuntimeError("a real socket or pipe on the event loop: the simulation carries httpx only")

    def select(self, timeout: float | None = None) -> list[Any]:
        loop = self.loop
        ready = timeout is not None and timeout <= 0
        when = loop._scheduled[0]._when if loop._scheduled else None
        if when == math.inf:  # a timer for never, which asyncio allows
            when = None
        if loop is kernel.loop or kernel.on_main():
            kernel.idle(ready, when)
        elif ready:
            kernel.step()
        else:
            loop.parked = kernel.waiter(None if when is None else max(0.0, when - kernel.clock.now / 1e9), "the loop")
            if not loop._ready:
                kernel.park(loop.parked)
            loop.parked = None
        return []


class Loop(asyncio.SelectorEventLoop):
    """An event loop whose clock is the host's."""

    _scheduled: list[Any]
    _ready: deque[Any]

    def __init__(self) -> None:
        selector = _Selector()
        selector.loop = self
        self.parked: Any = None
        super().__init__(selector)
        self._clock_resolution = 1e-9
        self._ready = _Ready()
        self.set_task_factory(_make_task)

    def time(self) -> float:
        return kernel.clock.read() / 1e9

    def create_future(self) -> Any:
        return Future(loop=self)

    def call_soon_threadsafe(  # type: ignore[override]
        self, callback: Any, *args: Any, context: Any = None
    ) -> asyncio.Handle:
        handle = super().call_soon_threadsafe(callback, *args, context=context)
        if self.parked is not None:
            kernel.wake(self.parked)
        return handle

    # no self-pipe: a loop that waits is woken through the kernel
    def _make_self_pipe(self) -> None:
        pass

    def _close_self_pipe(self) -> None:
        pass

    def _write_to_self(self) -> None:
        pass


def install() -> None:
    """Every loop that this process makes from now on is virtual."""
    module: Any = asyncio
    selector_loops: Any = unix_events
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        module.SelectorEventLoop = selector_loops.SelectorEventLoop = Loop
        if hasattr(asyncio, "EventLoop"):
            module.EventLoop = Loop
        policies = [each for each in vars(unix_events).values() if hasattr(each, "_loop_factory")]
    if not policies:
        raise RuntimeError("this interpreter's asyncio is not understood: no default event loop policy")
    for policy in policies:
        policy._loop_factory = Loop
    kinds: tuple[Any, ...] = (concurrent.futures.Future, asyncio.Queue, asyncio.Event, asyncio.Lock, queue.Queue)
    for kind in kinds:  # what people keep sets of
        kind.__hash__ = lambda self: self.__dict__.setdefault("_serial", next(_serial))
