"""Token accounting: a ledger that equals the provider's invoice, to the micro-dollar.

Bills are rows; what was spent and what is held are counters beside them, moved in the same transaction.
"""

import sqlite3
from bisect import bisect_right
from dataclasses import dataclass

from service.patterns.attribution import split
from service.patterns.budget import move, month
from service.store import transaction

SCHEMA = """
CREATE TABLE IF NOT EXISTS payers (
    key TEXT, number INTEGER, tenant TEXT, feature TEXT, run TEXT, zone TEXT, weight INTEGER, month TEXT,
    most INTEGER, held INTEGER, begun REAL, PRIMARY KEY (key, number)
);
CREATE TABLE IF NOT EXISTS bills (
    request TEXT, number INTEGER, tenant TEXT, feature TEXT, run TEXT, month TEXT, amount INTEGER,
    PRIMARY KEY (request, number)
);
CREATE INDEX IF NOT EXISTS bills_of ON bills (tenant, month);
CREATE INDEX IF NOT EXISTS held_since ON payers (begun) WHERE held > 0;
"""


@dataclass(frozen=True)
class Usage:
    """What a call has used. `created`: when the provider received it, in seconds since 1970."""

    model: str
    created: float
    prompt_tokens: int
    cached_tokens: int = 0  # of the prompt_tokens
    completion_tokens: int = 0


def cost(usage: Usage, prices: list[dict]) -> int:
    """What the provider charges for a call, in whole micro-dollars, rounded up once for the whole call."""
    rows = sorted((row for row in prices if row["model"] == usage.model), key=lambda row: row["from"])
    at = bisect_right([row["from"] for row in rows], usage.created)
    if at == 0:
        raise KeyError(usage.model)
    price = rows[at - 1]
    pairs = (
        (usage.prompt_tokens - usage.cached_tokens, price["input"]),
        (usage.cached_tokens, price["cached"]),
        (usage.completion_tokens, price["output"]),
    )
    whole, rest = divmod(sum(tokens * each for tokens, each in pairs), 1000)
    return whole + (rest > 0)


def settle(db: sqlite3.Connection, key: str) -> None:
    """Nothing is held for one of the tries of this call any more. Inside a transaction."""
    for row in db.execute("SELECT tenant, month, most FROM payers WHERE key = ? AND held > 0", (key,)).fetchall():
        move(db, row["tenant"], row["month"], held=-row["most"])
    db.execute("UPDATE payers SET held = held - most WHERE key = ? AND held > 0", (key,))


def bill(db: sqlite3.Connection, key: str, request: str, amount: int, created: float) -> None:
    """A line of the invoice: in place of what was said of it before."""
    with transaction(db):
        old = db.execute("SELECT tenant, month, amount FROM bills WHERE request = ?", (request,)).fetchall()
        if old and sum(row["amount"] for row in old) == amount:
            return
        if not old:
            settle(db, key)
        for row in old:
            move(db, row["tenant"], row["month"], spent=-row["amount"])
        db.execute("DELETE FROM bills WHERE request = ?", (request,))
        payers = db.execute("SELECT * FROM payers WHERE key = ? ORDER BY number", (key,)).fetchall()
        for row, share in zip(payers, split(amount, [row["weight"] for row in payers]), strict=True):
            at = month(created, row["zone"])
            values = (request, row["number"], row["tenant"], row["feature"], row["run"], at, share)
            db.execute("INSERT INTO bills VALUES (?, ?, ?, ?, ?, ?, ?)", values)
            move(db, row["tenant"], at, spent=share)


def settle_old(db: sqlite3.Connection, before: float) -> None:
    """Calls that last left before that moment are on the invoice, or never will be."""
    with transaction(db):
        query = "SELECT tenant, month, held FROM payers WHERE held > 0 AND begun < ?"
        for row in db.execute(query, (before,)).fetchall():
            move(db, row["tenant"], row["month"], held=-row["held"])
        db.execute("UPDATE payers SET held = 0 WHERE held > 0 AND begun < ?", (before,))


def costs(db: sqlite3.Connection, tenant: str, at: str) -> dict:
    """In all, by feature and by run. What is `estimated` is that of calls that are not settled."""
    rows = db.execute("SELECT feature, run, amount FROM bills WHERE tenant = ? AND month = ?", (tenant, at)).fetchall()
    query = "SELECT feature, run, held FROM payers WHERE held > 0 AND tenant = ? AND month = ?"
    held = db.execute(query, (tenant, at)).fetchall()
    features: dict[str, int] = {}
    runs: dict[str, int] = {}
    for feature, run, amount in [*map(tuple, rows), *map(tuple, held)]:
        features[feature] = features.get(feature, 0) + amount
        runs[run] = runs.get(run, 0) + amount
    told = {"month": at, "micro_dollars": sum(features.values()), "estimated": sum(row["held"] for row in held)}
    return {**told, "features": features, "runs": runs}
