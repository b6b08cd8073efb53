"""Chain of responsibility: a ticket is offered to one after the other, and nobody knows who is behind him."""

from collections.abc import Awaitable, Callable
from typing import Any


class Chain:
    """Handlers, `async def handler(ticket: dict) -> dict | None`: an outcome, such as {"status": "done"}, or None for
    "not mine". And some that are called always, `async def handler(ticket: dict, outcome: dict) -> dict | None`, when
    there is an outcome, whatever it is: what they return, unless it is None, takes its place.
    """

    def __init__(self) -> None:
        raise NotImplementedError("Chain in service/patterns/chain.py")

    def add(self, handler: Callable[..., Awaitable[dict | None]], priority: int = 100, always: bool = False) -> None:
        """From the next ticket on. The lowest priority comes first, and, of the same, who was added first."""
        raise NotImplementedError("Chain.add in service/patterns/chain.py")

    async def handle(self, ticket: dict[str, Any]) -> dict[str, Any]:
        """The first outcome; who is behind it is not called. {"status": "unhandled"} if nobody has one:
        that is an outcome, too, for those that are always called.

        If a handler raises, the outcome is {"status": "failed", "reason": …}, and nobody behind it is called, but
        those that are always called are. If one of these raises, it is failed, too, and the others are called. What
        has no "status", or an empty one, is no outcome: whoever returns it has failed as if it had raised.
        """
        raise NotImplementedError("Chain.handle in service/patterns/chain.py")
