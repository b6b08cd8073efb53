"""The port for other teams: each *.py in PLUGINS_DIR has a function `register(desk)`, which adds to the desk."""

from collections.abc import Awaitable, Callable
from pathlib import Path
from types import ModuleType
from typing import Any, Protocol


class Desk(Protocol):
    """What a plug-in is handed. What it adds is there on all paths, as if it had always been: it is routed to, listed,
    tried again, gone on with after a crash, checked and recorded."""

    def flow(self, flow: Any) -> None:
        """A ticket type: a Flow (patterns/template.py). GET /routes lists it; the router knows it by name and about."""

    def strategy(self, name: str, strategy: Callable[[int], int]) -> None:
        """A policy that tenants may choose (patterns/strategy.py). GET /policies lists it."""

    def tool(self, tool: Any) -> None:
        """A Tool (patterns/tools.py), for look_ups of flows and for plans."""

    def handler(
        self, handler: Callable[..., Awaitable[dict | None]], priority: int = 100, always: bool = False
    ) -> None:
        """A handler in the chain of tickets (patterns/chain.py). The desk's own has priority 100.

        A ticket is a dict with "tenant", "id" (its ref), "booking" and "text", and with whatever else you like.
        """

    async def call(self, tool: str, args: dict[str, Any], tenant: str, key: str) -> dict:
        """The gateway of the tools, for what `tool` calls."""


def load(folder: Path, desk: Desk) -> None:
    """Every plug-in in there, by name. Call it at the start, before the first ticket is worked on."""
    for path in sorted(folder.glob("*.py")):
        module = ModuleType(path.stem)
        exec(compile(path.read_text("utf-8"), str(path), "exec"), module.__dict__)
        module.register(desk)
