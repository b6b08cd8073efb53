"""The desk's file (SQLite, below DATA_DIR): each thread has a connection of its own."""

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

SCHEMA = """
CREATE TABLE IF NOT EXISTS tickets (
    number INTEGER PRIMARY KEY, tenant TEXT, id TEXT, booking TEXT, text TEXT, status TEXT DEFAULT 'queued',
    routes TEXT DEFAULT '[]', reason TEXT DEFAULT '', UNIQUE (tenant, id)
);
CREATE TABLE IF NOT EXISTS records (
    tenant TEXT, ticket TEXT, route TEXT, status TEXT, reason TEXT, PRIMARY KEY (tenant, ticket, route)
);
"""


class Database:
    """A connection for whatever thread asks; else like one."""

    def __init__(self, data_dir: Path) -> None:
        self._path = data_dir / "desk.db"
        self._local = threading.local()
        self.executescript(SCHEMA)

    def __getattr__(self, name: str) -> Any:
        db = getattr(self._local, "db", None)
        if db is None:
            db = self._local.db = sqlite3.connect(self._path, timeout=20.0, isolation_level=None)
            db.row_factory = sqlite3.Row
        return getattr(db, name)


@contextmanager
def transaction(db: Any) -> Iterator[None]:
    """All of it or nothing, and nobody writes in between."""
    db.execute("BEGIN IMMEDIATE")
    try:
        yield
        db.execute("COMMIT")
    except BaseException:
        db.execute("ROLLBACK")
        raise
