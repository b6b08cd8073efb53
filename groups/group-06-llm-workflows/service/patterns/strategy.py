"""Strategy: how much is given back is each tenant's choice, and the code that asks does not know which."""

import sqlite3
from collections.abc import Callable

Strategy = Callable[[int], int]
"""From a fare in cents to what is given back: whole cents, 0 or more, and not more than the fare."""

DEFAULT = "standard"


class UnknownStrategy(Exception):
    """Nobody has registered it."""


class BrokenContract(Exception):
    """What a strategy has returned is no amount as agreed."""


class Strategies:
    """Strategies by name, and which of them a tenant has chosen: in the file, so that it outlives the process.

    Three are there from the start: full (the fare), standard (three quarters of it, rounded down), capped (the fare,
    and at most 25,000). `db` is a connection as store.py makes it. Make the tables that you need if they are not
    there. What a tenant chooses holds from then on, for whoever asks. What a flow has decided, it keeps: template.py.
    """

    def __init__(self, db: sqlite3.Connection) -> None:
        raise NotImplementedError("Strategies in service/patterns/strategy.py")

    def register(self, name: str, strategy: Strategy) -> None:
        """From now on `name` can be chosen."""
        raise NotImplementedError("Strategies.register in service/patterns/strategy.py")

    def names(self) -> list[str]:
        """All of them, in the order of the alphabet."""
        raise NotImplementedError("Strategies.names in service/patterns/strategy.py")

    def choose(self, tenant: str, name: str) -> None:
        """From now on, for this tenant alone. Raises UnknownStrategy, and changes nothing then."""
        raise NotImplementedError("Strategies.choose in service/patterns/strategy.py")

    def of(self, tenant: str) -> str:
        """What the tenant has chosen; "standard", if nothing."""
        raise NotImplementedError("Strategies.of in service/patterns/strategy.py")

    def decide(self, tenant: str, fare_cents: int) -> int:
        """What this tenant gives back of a fare. Raises BrokenContract for a result that is none, and UnknownStrategy
        if what was chosen is not registered any more. What the strategy raises passes on."""
        raise NotImplementedError("Strategies.decide in service/patterns/strategy.py")
