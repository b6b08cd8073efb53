"""The file that all replicas share (SQLite, below DATA_DIR), as group 3 has left it."""

import json
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

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


class Database:
    """A connection for each thread that asks. They make no transactions of their own: each statement stands alone, or
    in `transaction`."""

    def __init__(self, data_dir: Path) -> None:
        self._path, self._mine = data_dir / "skylark.db", threading.local()
        self.executescript(SCHEMA)

    def _connection(self) -> sqlite3.Connection:
        if not hasattr(self._mine, "db"):
            self._mine.db = sqlite3.connect(self._path, timeout=30.0, isolation_level=None)
            self._mine.db.row_factory = sqlite3.Row
        return self._mine.db

    def execute(self, query: str, values: Any = ()) -> sqlite3.Cursor:
        return self._connection().execute(query, values)

    def executescript(self, script: str) -> None:
        self._connection().executescript(script)


@contextmanager
def transaction(db: Database) -> Iterator[None]:
    """All of it or nothing. Await nothing in there."""
    db.execute("BEGIN IMMEDIATE")
    try:
        yield
        db.execute("COMMIT")
    except BaseException:
        db.execute("ROLLBACK")
        raise


def keep_tenant(db: Database, tenant: Tenant) -> None:
    values = (tenant.name, tenant.zone, tenant.budget, tenant.quota)
    db.execute("INSERT OR REPLACE INTO tenants VALUES (?, ?, ?, ?)", values)


def find_tenant(db: Database, name: str) -> Tenant:
    row = db.execute("SELECT * FROM tenants WHERE name = ?", (name,)).fetchone()
    if row is None:
        raise UnknownTenant(name)
    return Tenant(**dict(row))


def begin_run(db: Database, run: str, tenant: str, kind: str) -> None:
    db.execute("INSERT INTO runs (id, tenant, kind) VALUES (?, ?, ?)", (run, tenant, kind))


def end_run(db: Database, run: str, status: str, answers: list[str]) -> None:
    db.execute("UPDATE runs SET status = ?, answers = ? WHERE id = ?", (status, json.dumps(answers), run))


def find_run(db: Database, tenant: str, run: str) -> dict | None:
    row = db.execute("SELECT * FROM runs WHERE id = ? AND tenant = ?", (run, tenant)).fetchone()
    return row and {"run": run, "kind": row["kind"], "status": row["status"], "answers": json.loads(row["answers"])}
