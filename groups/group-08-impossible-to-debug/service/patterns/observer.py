"""Observer: who wants to know of something subscribes; who does it neither knows nor waits."""

from collections.abc import Awaitable, Callable

Sink = Callable[[dict], Awaitable[None]]
"""Gets one event after the other, in their order. It may be slow, and it may raise."""


class Events:
    """`most`: events that wait for one sink. Beyond that, the oldest of them are dropped."""

    def __init__(self, most: int = 1000) -> None:
        raise NotImplementedError("Events in service/patterns/observer.py")

    def subscribe(self, sink: Sink) -> None:
        """From the next event on, `sink` gets all. Twice is once. An event loop runs when this is called."""
        raise NotImplementedError("Events.subscribe in service/patterns/observer.py")

    def unsubscribe(self, sink: Sink) -> None:
        """No event begins to be delivered to it any more, and, once it is idle, nothing in here keeps it alive. For one
        that never subscribed, nothing happens. A sink may do so while it is called."""
        raise NotImplementedError("Events.unsubscribe in service/patterns/observer.py")

    def emit(self, event: dict) -> None:
        """Tell everybody who is subscribed now. It returns at once, whoever is slow; it raises nothing, whoever raises.

        An event is what JSON can say. Each sink gets one of its own: what one does to it, nobody else sees. A sink that
        has raised gets the next event all the same.
        """
        raise NotImplementedError("Events.emit in service/patterns/observer.py")

    async def close(self, seconds: float = 60.0) -> None:
        """Return when all that was emitted is delivered, or after so many seconds. Later events are ignored."""
        raise NotImplementedError("Events.close in service/patterns/observer.py")
