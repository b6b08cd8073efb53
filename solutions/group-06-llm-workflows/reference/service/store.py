"""The desk's file (SQLite, below DATA_DIR), as group 3 has left it."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

SCHEMA = """
CREATE TABLE IF NOT EXISTS tickets (
    number INTEGER PRIMARY KEY, tenant TEXT, id TEXT, booking TEXT, text TEXT, status TEXT DEFAULT 'queued',
    routes TEXT DEFAULT '[]', reason TEXT DEFAULT '', UNIQUE (tenant, id)
);
CREATE TABLE IF NOT EXISTS records (
    number INTEGER PRIMARY KEY, tenant TEXT, ticket TEXT, route TEXT, status TEXT, reason TEXT
);
"""


def connect(data_dir: Path) -> sqlite3.Connection:
    """A connection without transactions of its own making: each statement stands alone, or in `transaction`."""
    db = sqlite3.connect(data_dir / "desk.db", timeout=10.0, isolation_level=None, check_same_thread=False)
    db.row_factory = sqlite3.Row
    db.executescript(SCHEMA)
    return db


@contextmanager
def transaction(db: sqlite3.Connection) -> Iterator[None]:
    """All of it or nothing. Inside another one, it is part of that. Await nothing in there."""
    if db.in_transaction:
        yield
        return
    db.execute("BEGIN IMMEDIATE")
    try:
        yield
        db.execute("COMMIT")
    except BaseException:
        db.execute("ROLLBACK")
        raise
