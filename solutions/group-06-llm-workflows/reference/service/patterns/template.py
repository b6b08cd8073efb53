"""Template method: what every flow does, in its order; and the few places where flows differ."""

from collections.abc import Callable
from typing import Any, Protocol

LIMIT = 100_000
"""Cents that a flow may book without a person."""

NEVER = ("guarantee", "promise", "liable")
"""What no mail of ours may say, in whatever letters: Legal is firm on that."""


class Work(Protocol):
    """What a flow may do. The desk makes it: each is done once, whatever crashes."""

    async def look_up(self, tool: str) -> dict:
        """What a tool gives for the ticket's booking."""

    def policy(self, fare_cents: int) -> int:
        """What the tenant gives back of a fare: the strategy that he has chosen."""

    async def book(self, kind: str, amount_cents: int) -> None:
        """An entry in the ledger."""

    async def mail(self, lines: list[str]) -> None:
        """A mail to the traveller, which the model writes from these facts."""

    async def record(self, outcome: dict) -> None:
        """For compliance."""


class Flow:
    """A ticket type. A subclass has a name, says what it is about, and overrides the hooks that it needs: no other
    method.

    A subclass that has a `run` of its own is refused with a TypeError, when it is made. One that has an `__init__`,
    and forgets super().__init__(), works all the same; so does one that happens to have other methods, whatever they
    are called.
    """

    name: str = ""
    about: str = ""

    def __init_subclass__(cls, **more: Any) -> None:
        super().__init_subclass__(**more)
        if "run" in cls.__dict__:
            raise TypeError(f"{cls.__name__} overrides run, which is the same for all flows: override the hooks")

    def look_ups(self, ticket: dict) -> list[str]:
        """Hook: the tools to be looked up. ticket: {"tenant", "id", "booking", "text"}. None, if not overridden."""
        return []

    def decide(self, ticket: dict, facts: dict[str, dict], policy: Callable[[int], int]) -> tuple[str, int] | None:
        """Hook: kind and cents of an entry in the ledger, or None. `facts`: what each tool gave, by its name."""
        return None

    def write(self, ticket: dict, facts: dict[str, dict], entry: tuple[str, int] | None) -> list[str]:
        """Hook: the lines for the mail. ["Your ticket is settled."], if not overridden."""
        return ["Your ticket is settled."]

    async def run(self, ticket: dict, work: Work) -> dict:
        """Look up, decide, write, check; then book (if there is an entry), mail, record. Returns the outcome.

        The check comes before anything is done: an entry has a kind and from 1 to LIMIT cents; there is at least one
        line, all lines are text and none is empty, and none says what is NEVER said. If not: {"status": "held",
        "reason": …}, and nothing is booked or mailed. Whatever raises, in a hook or in `work`: {"status": "failed",
        "reason": …}. Else {"status": "done"}. It is recorded, whatever it is, and once.
        """
        try:
            outcome = await self.__attempt(ticket, work)
        except Exception as error:
            outcome = {"status": "failed", "reason": f"{type(error).__name__}: {error}"}
        await work.record(outcome)
        return outcome

    async def __attempt(self, ticket: dict, work: Work) -> dict:
        facts = {tool: await work.look_up(tool) for tool in self.look_ups(ticket)}
        entry = self.decide(ticket, facts, work.policy)
        lines = self.write(ticket, facts, entry)
        if objection := _objection(entry, lines):
            return {"status": "held", "reason": objection}
        if entry is not None:
            await work.book(*entry)
        await work.mail(lines)
        return {"status": "done"}


def _objection(entry: Any, lines: Any) -> str:
    """Why this must not leave the house; "" if it may."""
    if entry is not None:
        kind, cents = entry
        if not kind or type(cents) is not int or not 1 <= cents <= LIMIT:
            return f"an entry of {cents!r} cents"
    if not lines or not all(isinstance(line, str) and line.strip() for line in lines):
        return "a mail that says nothing"
    said = [word for word in NEVER for line in lines if word in line.lower()]
    return f"a mail that says {said[0]!r}" if said else ""
