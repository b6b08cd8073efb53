"""Budget enforcement: money is reserved before it is spent, and what was not needed comes back."""

import sqlite3
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

WARN = 80  # percent of the budget, from which on the cheaper model has to do

SCHEMA = """
CREATE TABLE IF NOT EXISTS counters (
    tenant TEXT, month TEXT, spent INTEGER DEFAULT 0, held INTEGER DEFAULT 0, warned INTEGER DEFAULT 0,
    PRIMARY KEY (tenant, month)
);
"""


class Exhausted(Exception):
    """There is no room for this in the tenant's budget of the month: 402."""


class Busy(Exception):
    """There may be room in a moment: calls under way hold it. 429, and Retry-After."""


def month(at: float, zone: str) -> str:
    """The month, such as 2026-01, of a moment (seconds since 1970) in a zone of the time zone database (Asia/Tokyo)."""
    local = datetime.fromtimestamp(at, UTC).astimezone(ZoneInfo(zone))
    return f"{local.year}-{local.month:02}"


def move(db: sqlite3.Connection, tenant: str, at: str, *, spent: int = 0, held: int = 0) -> None:
    """Change the counters. Inside a transaction."""
    db.execute("INSERT OR IGNORE INTO counters (tenant, month) VALUES (?, ?)", (tenant, at))
    query = "UPDATE counters SET spent = spent + ?, held = held + ? WHERE tenant = ? AND month = ?"
    db.execute(query, (spent, held, tenant, at))


def look(db: sqlite3.Connection, tenant: str, at: str) -> tuple[int, int]:
    """What was spent, and what is held."""
    row = db.execute("SELECT spent, held FROM counters WHERE tenant = ? AND month = ?", (tenant, at)).fetchone()
    return (row["spent"], row["held"]) if row else (0, 0)


def hold(db: sqlite3.Connection, tenant: str, at: str, budget: int, amount: int) -> type[Exception] | None:
    """Hold so much, if there is room: what keeps us from it, or None. Inside a transaction."""
    db.execute("INSERT OR IGNORE INTO counters (tenant, month) VALUES (?, ?)", (tenant, at))
    query = """
        UPDATE counters SET held = held + :more
        WHERE tenant = :tenant AND month = :month AND spent + held + :more <= :most"""
    values = {"more": amount, "tenant": tenant, "month": at, "most": budget}
    if db.execute(query, values).rowcount:
        return None
    spent, _ = look(db, tenant, at)
    return Exhausted if spent + amount > budget else Busy


def warn(db: sqlite3.Connection, tenant: str, at: str, budget: int) -> bool:
    """Is it for the caller, and nobody else, to say that the budget is running out?"""
    query = "UPDATE counters SET warned = 1 WHERE tenant = ? AND month = ? AND NOT warned AND spent * 100 >= ?"
    return bool(db.execute(query, (tenant, at, WARN * budget)).rowcount)
