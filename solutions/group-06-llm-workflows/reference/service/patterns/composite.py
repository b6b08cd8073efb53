"""Composite: one step, and a tree of steps, are asked the same."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import Any, Protocol


class Cycle(ValueError):
    """A group would be part of itself."""


class Part(Protocol):
    """A step, a group, or something of somebody else's that can do the same. Whoever has one does not ask which."""

    async def run(self) -> None: ...
    def cost(self) -> int: ...
    def progress(self) -> float: ...
    def cancel(self) -> None: ...


class Step:
    """A leaf: some work, and what it costs."""

    def __init__(self, name: str, work: Callable[[], Awaitable[None]], cost: int = 1) -> None:
        self.name = name
        self._work = work
        self._cost = cost
        self._done = self._cancelled = False
        self._task: asyncio.Future[None] | None = None
        self._waiting = 0

    async def run(self) -> None:
        """Do it, once: when it is done, or cancelled, there is nothing to do; while it is under way, whoever else runs
        it waits for that. What the work raises passes on, and it is not done.

        If it is cancelled meanwhile, the work gets a CancelledError, and this returns. If who waits for it is
        cancelled, that passes on; and it stops the work, unless somebody else waits for it, too.
        """
        if self._done or self._cancelled:
            return
        if self._task is None or self._task.done():
            self._task = asyncio.ensure_future(self._attempt())
        self._waiting += 1
        try:
            await asyncio.wait([self._task])
        except asyncio.CancelledError:
            if self._waiting == 1:
                self._task.cancel()
            raise
        finally:
            self._waiting -= 1
        if not (self._cancelled and self._task.cancelled()):
            self._task.result()

    async def _attempt(self) -> None:
        await self._work()
        self._done = True

    def cost(self) -> int:
        return self._cost

    def progress(self) -> float:
        """1.0 when it is done, else 0.0."""
        return float(self._done)

    def cancel(self) -> None:
        """It is not begun any more; if it is under way, it is stopped. What is done stays done."""
        self._cancelled = True
        if self._task is not None:
            self._task.cancel()


class Group:
    """Parts, which are steps or groups, in order. A part may be in several groups: it is run once, and counted once."""

    def __init__(self, name: str, parts: Sequence[Part] = ()) -> None:
        self.name = name
        self._parts: list[Part] = []
        self._cancelled = False
        for part in parts:
            self.add(part)

    def add(self, part: Part) -> None:
        """Raises Cycle if this group is the part, or in it, however deep; and adds nothing then."""
        if part is self or (isinstance(part, Group) and any(each is self for each in part._groups())):
            raise Cycle(f"{self.name} would be a part of itself")
        self._parts.append(part)

    async def run(self) -> None:
        """Each leaf in its turn. What one raises passes on, and those behind it are not begun."""
        for leaf in self._leaves():
            if self._cancelled:
                return
            await leaf.run()

    def cost(self) -> int:
        """The sum of its leaves, each counted once. 0 without any."""
        return sum(leaf.cost() for leaf in self._leaves())

    def progress(self) -> float:
        """The mean of its leaves, each counted once. 1.0 without any: nothing is left to do."""
        leaves = self._leaves()
        return sum(leaf.progress() for leaf in leaves) / len(leaves) if leaves else 1.0

    def cancel(self) -> None:
        """All of its leaves, those under way among them."""
        self._cancelled = True
        for leaf in self._leaves():
            leaf.cancel()

    def _leaves(self) -> list[Any]:
        found: dict[int, Any] = {}
        for part in self._parts:
            for leaf in part._leaves() if isinstance(part, Group) else [part]:
                found.setdefault(id(leaf), leaf)
        return list(found.values())

    def _groups(self) -> Iterator["Group"]:
        for part in self._parts:
            if isinstance(part, Group):
                yield part
                yield from part._groups()
