"""The file that all replicas share: SQLite, below DATA_DIR. Made by operations; nobody has found the time to use it."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def connect(data_dir: Path) -> sqlite3.Connection:
    """A connection without transactions of its own making: each statement stands alone, or in `transaction`."""
    db = sqlite3.connect(data_dir / "skylark.db", timeout=10.0, isolation_level=None, check_same_thread=False)
    db.row_factory = sqlite3.Row
    return db


@contextmanager
def transaction(db: sqlite3.Connection) -> Iterator[None]:
    """All of it or nothing, and nobody writes in between. Inside another one, it is part of that."""
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
