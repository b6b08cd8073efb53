"""Replay / reprocessing: what was derived from events can be derived again."""

import sqlite3
from collections.abc import Iterable


class Usage:
    """For each document, how many questions were answered, how many summaries made, and what they cost: from events alone.

    Of all kinds of events, two count:
        "asked"       one question; its data has "tokens". Those of the first year have "tokens_in" and "tokens_out"
                      instead, whose sum it is.
        "summarised"  one summary; its data has "tokens", or does not, which is 0.
    Tokens are a whole number, 0 or more.
    """

    def __init__(self, db: sqlite3.Connection) -> None:
        raise NotImplementedError("Usage in service/patterns/replay.py")

    def apply(self, event: dict) -> None:
        """Count one event (as Audit.events has it). Whatever is in there, it raises nothing: an event of these two kinds
        that makes no sense is parked, and counts for nothing."""
        raise NotImplementedError("Usage.apply in service/patterns/replay.py")

    def totals(self) -> dict[str, dict[str, int]]:
        """{document: {"questions", "summaries", "tokens"}}, of those that have any."""
        raise NotImplementedError("Usage.totals in service/patterns/replay.py")

    def parked(self) -> list[int]:
        """The seqs of the events that were parked, in order."""
        raise NotImplementedError("Usage.parked in service/patterns/replay.py")

    def rebuild(self, events: Iterable[dict]) -> None:
        """Forget everything, and count these. It calls nobody. However often it is done, the totals are the same."""
        raise NotImplementedError("Usage.rebuild in service/patterns/replay.py")
