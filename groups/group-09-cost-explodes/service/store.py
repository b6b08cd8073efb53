"""The file that all replicas share (SQLite, below DATA_DIR), as group 3 has left it."""

import json
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

SCHEMA = """
CREATE TABLE IF NOT EXISTS tenants (name TEXT PRIMARY KEY, zone TEXT, budget INTEGER, quota INTEGER);
CREATE TABLE IF NOT EXISTS turns (
    number INTEGER PRIMARY KEY, tenant TEXT, session TEXT, role TEXT, content TEXT
);
CREATE TABLE IF NOT EXISTS runs (
    id TEXT PRIMARY KEY, tenant TEXT, kind TEXT, status TEXT DEFAULT 'running', answers TEXT DEFAULT '[]'
);
"""


@dataclass(frozen=True)
class Tenant:
    """`zone` as in the time zone database, `budget` in micro-dollars a month, `quota` in calls in any 60 s."""

    name: str
    zone: str
    budget: int
    quota: int


class UnknownTenant(Exception):
    """Nobody has told us of this tenant."""


def connect(data_dir: Path) -> sqlite3.Connection:
    """A connection without transactions of its own making: each statement stands alone, or in `transaction`."""
    db = sqlite3.connect(data_dir / "skylark.db", timeout=10.0, isolation_level=None, check_same_thread=False)
    db.row_factory = sqlite3.Row
    db.executescript(SCHEMA)
    return db


@contextmanager
def transaction(db: sqlite3.Connection) -> Iterator[None]:
    """All of it or nothing. Await nothing in there."""
    db.execute("BEGIN IMMEDIATE")
    try:
        yield
        db.execute("COMMIT")
    except BaseException:
        db.execute("ROLLBACK")
        raise


def keep_tenant(db: sqlite3.Connection, tenant: Tenant) -> None:
    values = (tenant.name, tenant.zone, tenant.budget, tenant.quota)
    db.execute("INSERT OR REPLACE INTO tenants VALUES (?, ?, ?, ?)", values)


def find_tenant(db: sqlite3.Connection, name: str) -> Tenant:
    row = db.execute("SELECT * FROM tenants WHERE name = ?", (name,)).fetchone()
    if row is None:
        raise UnknownTenant(name)
    return Tenant(**dict(row))


def begin_run(db: sqlite3.Connection, run: str, tenant: str, kind: str) -> None:
    db.execute("INSERT INTO runs (id, tenant, kind) VALUES (?, ?, ?)", (run, tenant, kind))


def end_run(db: sqlite3.Connection, run: str, status: str, answers: list[str]) -> None:
    db.execute("UPDATE runs SET status = ?, answers = ? WHERE id = ?", (status, json.dumps(answers), run))


def find_run(db: sqlite3.Connection, tenant: str, run: str) -> dict | None:
    row = db.execute("SELECT * FROM runs WHERE id = ? AND tenant = ?", (run, tenant)).fetchone()
    return row and {"run": run, "kind": row["kind"], "status": row["status"], "answers": json.loads(row["answers"])}
