"""Composite: one step, and a tree of steps, are asked the same."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol


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
        raise NotImplementedError("Step in service/patterns/composite.py")

    async def run(self) -> None:
        """Do it, once: when it is done, or cancelled, there is nothing to do; while it is under way, whoever else runs
        it waits for that. What the work raises passes on to all of them, and it is not done: run again, it is tried
        again.

        If it is cancelled meanwhile, the work gets a CancelledError, and this returns. If who waits for it is
        cancelled, that passes on; and it stops the work, unless somebody else waits for it, too.
        """
        raise NotImplementedError("Step.run in service/patterns/composite.py")

    def cost(self) -> int:
        raise NotImplementedError("Step.cost in service/patterns/composite.py")

    def progress(self) -> float:
        """1.0 when it is done, else 0.0."""
        raise NotImplementedError("Step.progress in service/patterns/composite.py")

    def cancel(self) -> None:
        """It is not begun any more; if it is under way, it is stopped. What is done stays done."""
        raise NotImplementedError("Step.cancel in service/patterns/composite.py")


class Group:
    """Parts, which are steps or groups, in order. A part may be in several groups: it is run once, and counted once."""

    def __init__(self, name: str, parts: Sequence[Part] = ()) -> None:
        raise NotImplementedError("Group in service/patterns/composite.py")

    def add(self, part: Part) -> None:
        """Raises Cycle if this group is the part, or in it, however deep; and adds nothing then."""
        raise NotImplementedError("Group.add in service/patterns/composite.py")

    async def run(self) -> None:
        """Each leaf in its turn. What one raises passes on, and those behind it are not begun."""
        raise NotImplementedError("Group.run in service/patterns/composite.py")

    def cost(self) -> int:
        """The sum of its leaves, each counted once. 0 without any."""
        raise NotImplementedError("Group.cost in service/patterns/composite.py")

    def progress(self) -> float:
        """The mean of its leaves, each counted once. 1.0 without any: nothing is left to do."""
        raise NotImplementedError("Group.progress in service/patterns/composite.py")

    def cancel(self) -> None:
        """All of its leaves, those under way among them."""
        raise NotImplementedError("Group.cancel in service/patterns/composite.py")
