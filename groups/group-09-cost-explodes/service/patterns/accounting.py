"""Token accounting: a ledger that equals the provider's invoice, to the micro-dollar."""

import sqlite3
from dataclasses import dataclass


@dataclass(frozen=True)
class Usage:
    """What a call has used. `created`: when the provider received it, in seconds since 1970."""

    model: str
    created: float
    prompt_tokens: int
    cached_tokens: int = 0  # of the prompt_tokens
    completion_tokens: int = 0


def cost(usage: Usage, prices: list[dict]) -> int:
    """What the provider charges for a call, in whole micro-dollars, rounded up once for the whole call.

    `prices` are rows as GET /v1/prices has them, in any order: {"model", "from", "input", "cached", "output"},
    micro-dollars per 1,000 tokens. That row holds which has the latest `from` that is not after `created`. Raises
    KeyError if there is none.
    """
    raise NotImplementedError("cost in service/patterns/accounting.py")


class Ledger:
    """Every call, in the file that all replicas share: noted before it leaves, since afterwards may be too late.

    No test calls what is in here: HTTP shows it all, so shape it as you like.
    """

    def __init__(self, db: sqlite3.Connection) -> None:
        raise NotImplementedError("Ledger in service/patterns/accounting.py")

    def begin(self, key: str, at_most: int) -> None:
        """A call is about to leave with this Idempotency-Key, and may cost so much."""
        raise NotImplementedError("Ledger.begin in service/patterns/accounting.py")

    def record(self, key: str, request: str, micro_dollars: int, created: float) -> None:
        """A line of the invoice, as its X-Request-Id names it: from a reply, or from the report. Twice is once; and
        where the two differ, the report is right."""
        raise NotImplementedError("Ledger.record in service/patterns/accounting.py")
