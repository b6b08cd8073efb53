"""Chain of responsibility: a ticket is offered to one after the other, and nobody knows who is behind him."""

import bisect
from collections.abc import Awaitable, Callable
from typing import Any


class Chain:
    """Handlers, `async def handler(ticket: dict) -> dict | None`: an outcome, such as {"status": "done"}, or None for
    "not mine". And some that are called always, `async def handler(ticket: dict, outcome: dict) -> dict | None`, when
    there is an outcome, whatever it is: what they return, unless it is None, takes its place.
    """

    def __init__(self) -> None:
        self._handlers: list[tuple[int, int, Callable[..., Awaitable[dict | None]]]] = []
        self._always: list[tuple[int, int, Callable[..., Awaitable[dict | None]]]] = []

    def add(self, handler: Callable[..., Awaitable[dict | None]], priority: int = 100, always: bool = False) -> None:
        """From the next ticket on. The lowest priority comes first, and, of the same, who was added first."""
        handlers = self._always if always else self._handlers
        bisect.insort(handlers, (priority, len(handlers), handler), key=lambda each: each[:2])

    async def handle(self, ticket: dict[str, Any]) -> dict[str, Any]:
        """The first outcome; who is behind it is not called. {"status": "unhandled"} if nobody has one.

        If a handler raises, the outcome is {"status": "failed", "reason": …}, and nobody behind it is called, but
        those that are always called are. If one of these raises, it is failed, too, and the others are called. What
        has no "status", or an empty one, is no outcome: whoever returns it has failed as if it had raised.
        """
        try:
            outcome = _sound(await self._first(ticket))
        except Exception as error:
            outcome = _failed(error)
        for _, _, handler in list(self._always):
            try:
                changed = await handler(ticket, outcome)
                outcome = outcome if changed is None else _sound(changed)
            except Exception as error:
                outcome = _failed(error)
        return outcome

    async def _first(self, ticket: dict) -> dict:
        for _, _, handler in list(self._handlers):
            outcome = await handler(ticket)
            if outcome is not None:
                return outcome
        return {"status": "unhandled"}


def _sound(outcome: dict) -> dict:
    if not outcome.get("status"):
        raise ValueError("an outcome has a status")
    return outcome


def _failed(error: Exception) -> dict:
    return {"status": "failed", "reason": f"{type(error).__name__}: {error}"}
