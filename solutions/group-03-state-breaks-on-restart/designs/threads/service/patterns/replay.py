"""Replay / reprocessing: what was derived from events can be derived again."""

import sqlite3
from collections.abc import Iterable
from typing import Any

from service.store import transaction

MOST = 10**12  # tokens of one event; who says more is mistaken


class Usage:
    """For each document, how many questions were answered, how many summaries made, and what they cost: from events alone.

    Of all kinds of events, two count:
        "asked"       one question; its data has "tokens". Those of the first year have "tokens_in" and "tokens_out"
                      instead, whose sum it is.
        "summarised"  one summary; its data has "tokens", or does not, which is 0.
    Tokens are a whole number, 0 or more.
    """

    def __init__(self, db: sqlite3.Connection) -> None:
        self.db = db
        db.execute(
            "CREATE TABLE IF NOT EXISTS usage (document TEXT PRIMARY KEY, questions INTEGER, summaries INTEGER, tokens INTEGER)"
        )
        db.execute("CREATE TABLE IF NOT EXISTS parked (seq INTEGER PRIMARY KEY)")

    def apply(self, event: dict) -> None:
        """Count one event (as Audit.events has it). Whatever is in there, it raises nothing: an event of these two kinds
        that makes no sense is parked, and counts for nothing."""
        if event["kind"] not in ("asked", "summarised"):
            return
        try:
            tokens = _tokens(event["kind"], event["data"])
        except (ValueError, TypeError, KeyError, AttributeError):
            self.db.execute("INSERT INTO parked VALUES (?) ON CONFLICT DO NOTHING", (event["seq"],))
            return
        self.db.execute(
            """INSERT INTO usage VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE SET
               questions = questions + excluded.questions, summaries = summaries + excluded.summaries,
               tokens = tokens + excluded.tokens""",
            (event["document"], event["kind"] == "asked", event["kind"] == "summarised", tokens),
        )

    def totals(self) -> dict[str, dict[str, int]]:
        """{document: {"questions", "summaries", "tokens"}}, of those that have any."""
        rows = self.db.execute("SELECT document, questions, summaries, tokens FROM usage ORDER BY document")
        return {document: {"questions": q, "summaries": s, "tokens": t} for document, q, s, t in rows}

    def parked(self) -> list[int]:
        """The seqs of the events that were parked, in order."""
        return [seq for (seq,) in self.db.execute("SELECT seq FROM parked ORDER BY seq")]

    def rebuild(self, events: Iterable[dict]) -> None:
        """Forget everything, and count these. It calls nobody. However often it is done, the totals are the same."""
        with transaction(self.db):
            self.db.execute("DELETE FROM usage")
            self.db.execute("DELETE FROM parked")
            for event in events:
                self.apply(event)


def _tokens(kind: str, data: dict[str, Any]) -> int:
    """What an event cost, whatever the year that it is from. Raises where it makes no sense."""
    if "tokens_in" in data:
        some = [data["tokens_in"], data["tokens_out"]]
    else:
        some = [data["tokens"] if kind == "asked" else data.get("tokens", 0)]
    for tokens in some:
        if type(tokens) is not int or not 0 <= tokens <= MOST:
            raise ValueError(tokens)
    return sum(some)
