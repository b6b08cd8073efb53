"""Observer: who wants to know of something subscribes; who does it neither knows nor waits."""

import asyncio
import copy
import logging
from collections import deque
from collections.abc import Awaitable, Callable

Sink = Callable[[dict], Awaitable[None]]
"""Gets one event after the other, in their order. It may be slow, and it may raise."""

log = logging.getLogger(__name__)


class Events:
    """`most`: events that wait for one sink. Beyond that, the oldest of them are dropped."""

    def __init__(self, most: int = 1000) -> None:
        self._most = most
        self._waiting: dict[Sink, deque[dict]] = {}
        self._tasks: dict[Sink, asyncio.Task] = {}  # of those that have something to deliver
        self._closed = False

    def subscribe(self, sink: Sink) -> None:
        self._waiting.setdefault(sink, deque(maxlen=self._most))

    def unsubscribe(self, sink: Sink) -> None:
        if waiting := self._waiting.pop(sink, None):
            waiting.clear()  # whoever delivers it just now finds nothing more

    def emit(self, event: dict) -> None:
        """Tell everybody who is subscribed now. Returns at once."""
        if self._closed:
            return
        for sink, waiting in self._waiting.items():
            waiting.append(copy.deepcopy(event))
            if sink not in self._tasks:
                self._tasks[sink] = asyncio.create_task(self._deliver(sink, waiting))

    async def close(self, seconds: float = 60.0) -> None:
        self._closed = True
        if tasks := list(self._tasks.values()):
            _, late = await asyncio.wait(tasks, timeout=seconds)
            for task in late:
                task.cancel()

    async def _deliver(self, sink: Sink, waiting: deque[dict]) -> None:
        """A task that lives while there is something to deliver: who has unsubscribed is held by nobody."""
        try:
            while waiting:
                try:
                    await sink(waiting.popleft())
                except Exception:
                    log.exception("a sink has raised")
        finally:
            self._tasks.pop(sink, None)
