"""Template method: what every flow does, in its order; and the few places where flows differ."""

from collections.abc import Callable
from typing import Any, Protocol

LIMIT = 100_000
"""Cents that a flow may book without a person. What is planned (`special`) holds and informs, and has no limit."""

NEVER = ("guarantee", "promise", "liable")
"""What no mail of a flow may say, in whatever letters, nor within a longer word: Legal is firm on that."""


class Work(Protocol):
    """What a flow may do. The desk makes it: each is done once, whatever crashes."""

    async def look_up(self, tool: str) -> dict:
        """What a tool gives for the ticket's booking."""

    def policy(self, fare_cents: int) -> int:
        """What the tenant gives back of a fare: the strategy that he has chosen."""

    async def keep(self, name: str, make: Callable[[], Any]) -> Any:
        """What `make()` returns, as JSON has it. It is called once for a name: a run that is taken up again gets what
        was kept."""

    async def book(self, kind: str, amount_cents: int) -> None:
        """An entry in the ledger."""

    async def mail(self, lines: list[str]) -> None:
        """A mail to the traveller, which the model writes from these facts."""

    async def record(self, outcome: dict) -> None:
        """For compliance."""


class Flow:
    """A ticket type. A subclass has a name, says what it is about, and overrides the hooks that it needs: no other
    method.

    A subclass that has another `run`, of its own or from a mixin, is refused: its `class` statement raises a TypeError.
    One that has an `__init__`, and forgets super().__init__(), works all the same; so does one that happens to have
    other methods and attributes, whatever they are called, and whatever it is called itself.
    """

    name: str = ""
    about: str = ""

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

        The check comes before anything is done: an entry has a kind and from 1 to LIMIT cents; lines are a list (one
        text is none) of at least one, all are text and of more than blanks, and none says what is NEVER said. If not:
        {"status": "held", "reason": …}, and nothing is booked or mailed. What is decided and checked is kept
        (`work.keep`) before any of it is done, also that it is held: taken up again, a run does what it had decided,
        whatever a hook would say now; what is looked up may be asked again. Whatever raises, in a hook or in `work`:
        {"status": "failed", "reason": …}. Else {"status": "done"}. It is recorded, whatever it is, and once. What
        `work.record` raises passes on: nobody may think it recorded.
        """
        raise NotImplementedError("Flow.run in service/patterns/template.py")
