"""Token accounting: a ledger that equals the provider's invoice, to the micro-dollar."""

import sqlite3
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from service.patterns.attribution import Payer, split
from service.patterns.budget import month
from service.store import Database, transaction

SCHEMA = """
CREATE TABLE IF NOT EXISTS calls (key TEXT PRIMARY KEY, begun REAL, open INTEGER DEFAULT 1); -- tries
CREATE TABLE IF NOT EXISTS parts (
    key TEXT, number INTEGER, tenant TEXT, feature TEXT, run TEXT, zone TEXT, weight INTEGER,
    month TEXT, at_most INTEGER, PRIMARY KEY (key, number)
);
CREATE TABLE IF NOT EXISTS lines (request TEXT PRIMARY KEY, key TEXT, micro_dollars INTEGER);
CREATE TABLE IF NOT EXISTS shares (
    request TEXT, tenant TEXT, feature TEXT, run TEXT, month TEXT, micro_dollars INTEGER
);
CREATE INDEX IF NOT EXISTS shares_of ON shares (tenant, month);
CREATE INDEX IF NOT EXISTS parts_of ON parts (tenant, month);
CREATE INDEX IF NOT EXISTS open_calls ON calls (open) WHERE open;
"""
OPEN = "calls JOIN parts USING (key) WHERE open AND tenant = :tenant AND month = :month"


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
    rows = [row for row in prices if row["model"] == usage.model and row["from"] <= usage.created]
    if not rows:
        raise KeyError(usage.model)
    row = max(rows, key=lambda row: row["from"])
    fresh = (usage.prompt_tokens - usage.cached_tokens) * row["input"]
    return -(-(fresh + usage.cached_tokens * row["cached"] + usage.completion_tokens * row["output"]) // 1_000)


@dataclass(frozen=True)
class Part:
    """Who pays a call, or a part of it: by weight, and so much at most."""

    payer: Payer
    zone: str
    weight: int
    at_most: int


class Ledger:
    """Every call, in the file that all replicas share: noted before it leaves, since afterwards may be too late.

    Each try of a call is open until it is known what it has cost. As long as it is, it counts with the most that it may
    cost.
    """

    def __init__(self, db: Database) -> None:
        self._db = db
        db.executescript(SCHEMA)

    def begin(self, key: str, parts: Sequence[Part]) -> None:
        """A call is about to leave with this Idempotency-Key. Inside a transaction."""
        now = time.time()
        self._db.execute("INSERT INTO calls (key, begun) VALUES (?, ?)", (key, now))
        for number, part in enumerate(parts):
            who = part.payer
            at = month(now, part.zone)
            row = (key, number, who.tenant, who.feature, who.run, part.zone, part.weight, at, part.at_most)
            self._db.execute("INSERT INTO parts VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", row)

    def begin_again(self, key: str) -> list[sqlite3.Row]:
        """Another try of a call is about to leave, and earlier ones may be billed beside it. Inside a transaction. The
        parts of the call: what is open of them is of this month now."""
        now = time.time()
        self._db.execute("UPDATE calls SET begun = ?, open = open + 1 WHERE key = ?", (now, key))
        for part in self._parts(key):
            values = (month(now, part["zone"]), key, part["number"])
            self._db.execute("UPDATE parts SET month = ? WHERE key = ? AND number = ?", values)
        return self._parts(key)

    def _parts(self, key: str) -> list[sqlite3.Row]:
        return self._db.execute("SELECT * FROM parts WHERE key = ? ORDER BY number", (key,)).fetchall()

    def record(self, key: str, request: str, micro_dollars: int, created: float) -> set[tuple[str, str]]:
        """A line of the invoice, from a reply, or from the report, which comes later, and is right. Whose month it
        changes."""
        with transaction(self._db):
            known = self._db.execute("SELECT micro_dollars FROM lines WHERE request = ?", (request,)).fetchone()
            if known is None:
                self.close(key)
            elif known["micro_dollars"] == micro_dollars:
                return set()
            self._db.execute("INSERT OR REPLACE INTO lines VALUES (?, ?, ?)", (request, key, micro_dollars))
            self._db.execute("DELETE FROM shares WHERE request = ?", (request,))
            parts = self._parts(key)
            changed = set()
            for part, share in zip(parts, split(micro_dollars, [part["weight"] for part in parts]), strict=True):
                at = month(created, part["zone"])
                row = (request, part["tenant"], part["feature"], part["run"], at, share)
                self._db.execute("INSERT INTO shares VALUES (?, ?, ?, ?, ?, ?)", row)
                changed.add((part["tenant"], at))
            return changed

    def close(self, key: str) -> None:
        """What one of its tries costs is on the invoice, or never will be."""
        self._db.execute("UPDATE calls SET open = open - 1 WHERE key = ? AND open", (key,))

    def close_all(self, before: float) -> None:
        """All calls that last left before that moment are on the invoice, or never will be."""
        self._db.execute("UPDATE calls SET open = 0 WHERE open AND begun < ?", (before,))

    def totals(self, tenant: str, at: str) -> tuple[int, int]:
        """What was spent in a month, and what the open calls may cost at most."""
        query = f"""
            SELECT (SELECT coalesce(sum(micro_dollars), 0) FROM shares WHERE tenant = :tenant AND month = :month),
                   (SELECT coalesce(sum(at_most * open), 0) FROM {OPEN})"""
        return tuple(self._db.execute(query, {"tenant": tenant, "month": at}).fetchone())

    def costs(self, tenant: str, at: str) -> dict:
        """In all, by feature and by run. What is `estimated` is that of open calls, and is in all of them."""
        features: Counter = Counter()
        runs: Counter = Counter()
        query = f"""
            SELECT feature, run, micro_dollars FROM shares WHERE tenant = :tenant AND month = :month
            UNION ALL SELECT feature, run, at_most * open FROM {OPEN}"""
        for feature, run, amount in self._db.execute(query, {"tenant": tenant, "month": at}):
            features[feature] += amount
            runs[run] += amount
        told = {"month": at, "micro_dollars": features.total(), "estimated": self.totals(tenant, at)[1]}
        return {**told, "features": features, "runs": runs}
